package manifest

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Read gathers texts: a file by its name, of a directory all *.yaml and *.yml
// files beneath it in the order of their names, and stdin for "-".
func Read(paths []string, stdin io.Reader) ([]Source, error) {
	var out []Source
	size := 0
	add := func(s Source, err error) error {
		if size += len(s.Text); err == nil && size > MaxText {
			err = fmt.Errorf("reading %s: more than %s of text in all; apply it in several parts", s.Name, Size(MaxText))
		}
		out = append(out, s)
		return err
	}
	for _, p := range paths {
		if p == "-" {
			if err := add(readText("stdin", stdin)); err != nil {
				return nil, err
			}
			continue
		}
		files, err := filesOf(p)
		if err != nil {
			return nil, err
		}
		for _, f := range files {
			if err := add(readFile(f)); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

func filesOf(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("reading objects: %w", err)
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	var files []string
	err = filepath.WalkDir(path, func(p string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && slices.Contains([]string{".yaml", ".yml"}, strings.ToLower(filepath.Ext(p))) {
			files = append(files, p)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading objects: %w", err)
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("reading objects: no *.yaml or *.yml file in %s", path)
	}
	return files, nil
}

func readFile(path string) (Source, error) {
	f, err := os.Open(path)
	if err != nil {
		return Source{}, fmt.Errorf("reading objects: %w", err)
	}
	defer f.Close()
	return readText(path, f)
}

func readText(name string, r io.Reader) (Source, error) {
	b, err := io.ReadAll(io.LimitReader(r, MaxText+1))
	switch {
	case err != nil:
		return Source{}, fmt.Errorf("reading %s: %w", name, err)
	case len(b) > MaxText:
		return Source{}, fmt.Errorf("reading %s: larger than %s; apply it in several parts", name, Size(MaxText))
	}
	return Source{Name: name, Text: string(b)}, nil
}
