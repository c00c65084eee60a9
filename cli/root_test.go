package cli

import (
	"testing"

	"sluice/api"
)

// TestANodeAnswersBeforeItIsGivenUp: it knows more about what came of a change
// than a command line that has waited in vain.
func TestANodeAnswersBeforeItIsGivenUp(t *testing.T) {
	if defaultTimeout < api.MaxWait*5/4 {
		t.Errorf("the command line gives up after %v, a node may take %v", defaultTimeout, api.MaxWait)
	}
}
