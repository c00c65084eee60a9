package kafka

import (
	"fmt"
	"os"
	"strings"
)

// ResolveSecret returns what a secret reference refers to: the content of the
// file in "${file:/path}", without one line break at its end, or the value of
// the environment variable in "${env:NAME}", which must be set. Any other
// text is returned as it is. Errors name the reference, never the secret.
func ResolveSecret(ref string) (string, error) {
	inner, ok := strings.CutPrefix(ref, "${")
	if !ok {
		return ref, nil
	}
	inner, ok = strings.CutSuffix(inner, "}")
	kind, name, found := strings.Cut(inner, ":")
	if !ok || !found || name == "" {
		return "", fmt.Errorf("resolving secret: reference is neither ${file:/path} nor ${env:NAME}")
	}
	switch kind {
	case "file":
		b, err := os.ReadFile(name)
		if err != nil {
			return "", fmt.Errorf("resolving secret: %w", err)
		}
		return strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r"), nil
	case "env":
		v, set := os.LookupEnv(name)
		if !set {
			return "", fmt.Errorf("resolving secret: environment variable %s is not set", name)
		}
		return v, nil
	}
	return "", fmt.Errorf("resolving secret: unknown kind %q of reference", kind)
}
