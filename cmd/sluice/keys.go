package main

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"io/fs"
	"os"
	"path/filepath"
)

// Bounds of looking for keys in a folder of secrets.
const (
	mostFiles = 1000
	largest   = 1 << 20 // bytes; what a node reads as a secret
)

// owned is a public key with a word for whose it is.
type owned struct {
	key interface{ Equal(x crypto.PublicKey) bool }
	of  string
}

// publicKeys are those of the certificates in the files. What cannot be read is
// said elsewhere.
func publicKeys(files ...string) []owned {
	var out []owned
	for _, file := range files {
		for _, block := range blocks(file) {
			cert, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				continue
			}
			of := "the certificate " + file
			if cert.IsCA {
				of = "the authority in " + file
			}
			if key, ok := cert.PublicKey.(interface{ Equal(x crypto.PublicKey) bool }); ok {
				out = append(out, owned{key, of})
			}
		}
	}
	return out
}

// foundKey is a private key in a file, with whose it is.
type foundKey struct{ file, of string }

// privateKeysIn finds the files of a folder and of those below it that hold the
// private key of one of the public keys.
func privateKeysIn(folder string, keys []owned) []foundKey {
	var out []foundKey
	seen := 0
	_ = filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if seen++; seen > mostFiles {
			return fs.SkipAll
		}
		if err != nil || !d.Type().IsRegular() {
			return nil //nolint:nilerr // what this process cannot read it sends to nobody
		}
		for _, block := range blocks(path) {
			private, ok := parseKey(block.Bytes)
			if !ok {
				continue
			}
			for _, public := range keys {
				if public.key.Equal(private.Public()) {
					out = append(out, foundKey{path, public.of})
				}
			}
		}
		return nil
	})
	return out
}

// blocks reads the PEM blocks of a file; none where it cannot be read or is too
// large to be a key.
func blocks(path string) []*pem.Block {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() || info.Size() > largest {
		return nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	var out []*pem.Block
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		out = append(out, block)
	}
	return out
}

func parseKey(der []byte) (crypto.Signer, bool) {
	if key, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		signer, ok := key.(crypto.Signer)
		return signer, ok
	}
	if key, err := x509.ParseECPrivateKey(der); err == nil {
		return key, true
	}
	key, err := x509.ParsePKCS1PrivateKey(der)
	return key, err == nil
}
