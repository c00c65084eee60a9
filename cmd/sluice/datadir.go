package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"sluice/cluster"
)

// checkDataDir says why a node cannot keep its data there; it writes nothing.
func checkDataDir(dir string) error {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return checkParent(dir)
	case err != nil:
		return fmt.Errorf("the data dir %s cannot be used: %w", dir, plain(err))
	case !info.IsDir():
		return fmt.Errorf("%s is a file; the data dir is a folder", dir)
	}
	if err := writable(dir); err != nil {
		return fmt.Errorf("the data dir %s cannot be written by %s: %w", dir, user(), err)
	}
	var errs []error
	for _, name := range cluster.DataFiles() {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err != nil {
			continue
		}
		if err := writable(path); err != nil {
			errs = append(errs, fmt.Errorf("%s cannot be written by %s: %w; did the node run as another user?", path, user(), err))
		}
	}
	if len(errs) == 0 {
		_, err = cluster.ReadIdentity(dir)
		return err
	}
	return errors.Join(errs...)
}

// checkParent looks whether a data dir that is not there can be made.
func checkParent(dir string) error {
	up := filepath.Dir(dir)
	for ; up != filepath.Dir(up); up = filepath.Dir(up) {
		info, err := os.Stat(up)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return fmt.Errorf("the data dir %s cannot be made: %w", dir, plain(err))
		case !info.IsDir():
			return fmt.Errorf("the data dir %s cannot be made: %s is a file", dir, up)
		}
		break
	}
	if err := writable(up); err != nil {
		return fmt.Errorf("the data dir %s cannot be made: %s cannot be written by %s: %w", dir, up, user(), err)
	}
	return nil
}

// plain takes the operation and the path off an error of package os.
func plain(err error) error {
	if p, ok := errors.AsType[*os.PathError](err); ok {
		return p.Err
	}
	return err
}

func user() string { return fmt.Sprintf("this user (uid %d)", os.Geteuid()) }
