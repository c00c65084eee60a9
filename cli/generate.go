package cli

import (
	"fmt"

	"github.com/spf13/cobra"
)

func generateCmd(a *app) *cobra.Command {
	gen := &cobra.Command{Use: "generate", Short: "Write files for other programs"}
	gen.AddCommand(&cobra.Command{
		Use: "completion bash|zsh|fish|powershell", Short: "Completion for a shell", Args: oneArg("shell"),
		ValidArgs: []string{"bash", "zsh", "fish", "powershell"},
		RunE: func(cmd *cobra.Command, args []string) error {
			root, w := cmd.Root(), a.std.Stdout
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(w, true)
			case "zsh":
				return root.GenZshCompletion(w)
			case "fish":
				return root.GenFishCompletion(w, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(w)
			}
			return &usageError{fmt.Errorf("there is no completion for %q: bash, zsh, fish or powershell", args[0])}
		},
	})
	return gen
}
