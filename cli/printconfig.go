package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"
)

func printConfigCmd(a *app, config *string) *cobra.Command {
	var origin bool
	cmd := &cobra.Command{
		Use: "print-config", Short: "Write the configuration as it holds, defaults filled in", Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			if origin && (a.std.format == "json" || a.std.format == "tsv") {
				return &usageError{errors.New("--origin writes comments: choose -o text or -o yaml")}
			}
			var b bytes.Buffer
			if err := a.local.PrintConfig(&b, *config, origin); err != nil {
				return err
			}
			return printed(&a.std, b.Bytes())
		},
	}
	cmd.Flags().BoolVar(&origin, "origin", false, "say beside each value where it comes from")
	return cmd
}

// printed writes a text of YAML as -o asks.
func printed(s *streams, text []byte) error {
	switch s.format {
	case "json":
		b, err := yaml.YAMLToJSON(text)
		if err != nil {
			return fmt.Errorf("writing the answer: %w", err)
		}
		return s.write(json.RawMessage(b), nil, nil)
	case "tsv":
		var keys yaml.MapSlice
		if err := yaml.UnmarshalWithOptions(text, &keys, yaml.UseOrderedMap()); err != nil {
			return fmt.Errorf("writing the answer: %w", err)
		}
		t := &table{cols: []column{{key: "key"}, {key: "value"}}}
		leaves(t, "", keys)
		return s.write(nil, nil, t)
	}
	return s.put(string(text))
}

// leaves adds a row for each value below the keys.
func leaves(t *table, path string, keys yaml.MapSlice) {
	for _, k := range keys {
		at := strings.TrimPrefix(path+"."+fmt.Sprint(k.Key), ".")
		switch v := k.Value.(type) {
		case yaml.MapSlice:
			leaves(t, at, v)
		case []any:
			list := make([]string, len(v))
			for i, x := range v {
				list[i] = fmt.Sprint(x)
			}
			t.add(c(at), c(strings.Join(list, ",")))
		default:
			t.add(c(at), c(fmt.Sprint(v)))
		}
	}
}
