package kafka

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Secrets says which references a node follows. Whoever may apply a Kafka
// cluster chooses both the reference and the address that the secret is sent
// to, so it must be nothing that he could not have anyway.
type Secrets struct {
	Folders []string // whole paths: files in them and in folders below
	Env     []string // what the names of variables begin with
}

// SecretError says why a reference cannot be followed, and never what stands
// behind it.
type SecretError struct {
	Reference string // "${file:/path}"; empty where it may be the secret itself
	Refused   bool   // this node is not to follow it
	Err       error
}

func (e *SecretError) Error() string {
	// The secret itself may stand where the name of its variable belongs.
	if e.Reference == "" || e.Refused && strings.HasPrefix(e.Reference, "${env:") {
		return e.Err.Error()
	}
	return fmt.Sprintf("secret %s: %v", e.Reference, e.Err)
}

func (e *SecretError) Unwrap() error { return e.Err }

// maxSecret bounds what is read of a file; bundles of certificates take some
// hundred KiB.
const maxSecret = 1 << 20

// Validate names everything that is wrong with the Secrets.
func (s Secrets) Validate() error {
	var errs []error
	for _, f := range s.Folders {
		if !filepath.IsAbs(f) {
			errs = append(errs, fmt.Errorf("folder %q is not a whole path", f))
		}
	}
	if slices.Contains(s.Env, "") {
		errs = append(errs, errors.New("an empty prefix would allow every environment variable; name what the allowed ones begin with"))
	}
	return errors.Join(errs...)
}

// Read returns what a secret reference refers to: the content of the file in
// "${file:/path}", without one line break at its end, or the value of the
// environment variable in "${env:NAME}", which must be set. Any other text is
// returned as it is. Its errors are *SecretError.
func (s Secrets) Read(ref string) (string, error) {
	inner, ok := strings.CutPrefix(ref, "${")
	if !ok {
		return ref, nil
	}
	inner, ok = strings.CutSuffix(inner, "}")
	kind, name, found := strings.Cut(inner, ":")
	if !ok || !found || name == "" {
		return "", &SecretError{Err: errors.New("a reference to a secret is neither ${file:/path} nor ${env:NAME}")}
	}
	switch kind {
	case "file":
		text, refused, err := s.file(name)
		if err != nil {
			return "", &SecretError{ref, refused, err}
		}
		return strings.TrimSuffix(strings.TrimSuffix(text, "\n"), "\r"), nil
	case "env":
		if !slices.ContainsFunc(s.Env, func(prefix string) bool { return strings.HasPrefix(name, prefix) }) {
			return "", &SecretError{ref, true, fmt.Errorf("not allowed on this node, which reads environment variables only that begin with %s (secrets.env in node.yaml)", list(s.Env))}
		}
		v, set := os.LookupEnv(name)
		if !set {
			return "", &SecretError{ref, false, errors.New("this environment variable is not set on this node")}
		}
		return v, nil
	}
	return "", &SecretError{Err: errors.New("unknown kind of a reference to a secret; it is ${file:/path} or ${env:NAME}")}
}

// file reads a file below one of the folders. os.Root follows no link that
// leads out of it, also where the link is made meanwhile.
func (s Secrets) file(name string) (text string, refused bool, err error) {
	name = filepath.Clean(name)
	for _, folder := range s.Folders {
		inside, err := filepath.Rel(folder, name)
		if err != nil || !filepath.IsLocal(inside) || inside == "." {
			continue
		}
		text, err := readBelow(folder, inside)
		return text, escapes(err), ofFile(err)
	}
	return "", true, fmt.Errorf("not allowed on this node, which reads secrets only below %s (secrets.folders in node.yaml)", list(s.Folders))
}

func readBelow(folder, name string) (string, error) {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return "", fmt.Errorf("opening folder %s: %w", folder, err)
	}
	defer root.Close()
	info, err := root.Stat(name)
	switch {
	case err != nil:
		return "", err
	case !info.Mode().IsRegular(): // a pipe would be waited for
		return "", errors.New("not a regular file")
	}
	f, err := root.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err == nil && len(b) > maxSecret {
		err = fmt.Errorf("larger than %d KiB", maxSecret>>10)
	}
	return string(b), err
}

// escapes reports whether a link led out of the folder, for which package os
// exports no error.
func escapes(err error) bool { return err != nil && strings.Contains(err.Error(), "path escapes") }

// ofFile words the errors of a file that have a plain reason.
func ofFile(err error) error {
	switch {
	case err == nil:
		return nil
	case escapes(err):
		return errors.New("not allowed: a symbolic link leads out of the folder of secrets, or is not relative")
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w on this node", fs.ErrNotExist)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("this node may not read it: %w", fs.ErrPermission)
	}
	return err
}

func list(names []string) string {
	if len(names) == 0 {
		return "(none)"
	}
	return strings.Join(names, ", ")
}
