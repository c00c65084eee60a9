package main

import (
	"cmp"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"sluice/cluster"
	"sluice/manifest"
	"sluice/pki"
	"sluice/transport"
)

// checked is a node.yaml with all that was found about it and about the files
// that it names.
type checked struct {
	parts
	fields manifest.Fields
	found  findings
}

// check reads node.yaml and looks at it and at the files that it names, for
// `server validate` and before a node starts alike. It writes nothing and opens
// no port. join is asked besides the join list.
func check(path string, insecure func(nodeFile) bool, join []string) (checked, error) {
	f, fields, err := readFile(path)
	if err != nil {
		return checked{}, err
	}
	c := checked{fields: fields}
	c.parts, c.found = f.configs(insecure(f))
	c.cluster.Join = slices.Concat(f.Join, join)
	if c.transport.Insecure {
		c.found.add(advised, "peer", "no TLS between nodes: the node starts with `sluice server --insecure` only, and on loopback")
	} else {
		c.checkPeerTLS()
	}
	c.checkHTTPFiles()
	if f.DataDir != "" {
		c.found.join("dataDir", checkDataDir(f.DataDir))
	}
	c.checkJoin(f)
	c.checkSecrets(f)
	return c, nil
}

// checkFile is `server validate`.
func checkFile(path string) (warnings []string, err error) {
	// Without TLS as with --insecure, which is refused unless on loopback.
	c, err := check(path, func(f nodeFile) bool { return f.Peer.TLS == peerTLSFile{} }, nil)
	if err != nil {
		return nil, err
	}
	return c.found.lighter(wrong, c.fields), c.found.err(wrong, c.fields)
}

// checkPeerTLS looks at the files for the peer port, as far as they are named.
func (c *checked) checkPeerTLS() {
	files := c.transport.TLS
	if files.Cert == "" || files.Key == "" || files.CA == "" {
		return // said by the transport
	}
	for _, x := range files.Check(c.cluster.Name, c.transport.AdvertisedHost(), time.Now()) {
		c.found.add(weigh(x), "peer.tls."+x.Key, "%s", x.Message)
	}
}

// weigh: a key that others can read stops no node, which may have run with it
// for years when it is upgraded.
func weigh(x pki.Fault) weight {
	switch {
	case x.Warning:
		return advised
	case x.Open:
		return wrong
	}
	return fatal
}

// checkHTTPFiles looks at the API's. With a certificate that is over, or for
// another use, it can still be used by who insists.
func (c *checked) checkHTTPFiles() {
	if c.api.Cert != "" && c.api.Key != "" {
		for _, x := range (pki.Files{Cert: c.api.Cert, Key: c.api.Key}).Check("", c.api.AdvertisedHost(), time.Now()) {
			w := weigh(x)
			if x.Refused && w == fatal {
				w = wrong
			}
			c.found.add(w, "http.tls."+x.Key, "%s", x.Message)
		}
	}
	c.found.join("http.tokenFile", c.api.CheckTokens())
}

// checkJoin looks at whom a node asks when it belongs to no cluster yet.
func (c *checked) checkJoin(f nodeFile) {
	others := 0
	for i, a := range c.cluster.Join {
		if own(a, c.transport) {
			c.found.add(wrong, "join["+strconv.Itoa(i)+"]", "%s is this node itself: name the other nodes", a)
		} else {
			others++
		}
	}
	if others == 1 {
		c.found.add(advised, "join", "two nodes stop when either of them does: run three")
	}
	// A list that is there and empty says that it is meant.
	if others > 0 || c.transport.Insecure || c.fields.Has("join") && len(f.Join) == 0 || f.DataDir == "" {
		return
	}
	if id, err := cluster.ReadIdentity(f.DataDir); err == nil && id.ClusterID == "" && !loopback(c.transport.Advertise) {
		c.found.fatal("join", "names no other node, so that this one would found a Sluice cluster of its own: name the others, or write join: [] if it is to be the first")
	}
}

// own reports whether an address is this node's.
func own(address string, cfg transport.Config) bool {
	return strings.EqualFold(address, cfg.Advertise) || strings.EqualFold(address, cfg.Listen)
}

func loopback(address string) bool {
	host, _, _ := net.SplitHostPort(address)
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// checkSecrets refuses a folder of secrets that holds what is nobody's but the
// node's: whoever may apply objects can have each file in it sent to a
// listener of his own.
func (c *checked) checkSecrets(f nodeFile) {
	what := []struct{ name, path string }{
		{"the node's private key (peer.tls.key)", f.Peer.TLS.Key},
		{"the API's private key (http.tls.key)", f.HTTP.TLS.Key},
		{"the API's tokens (http.tokenFile)", f.HTTP.TokenFile},
		{"the data dir (dataDir)", f.DataDir},
	}
	guarded := publicKeys(f.Peer.TLS.Cert, f.Peer.TLS.CA, f.HTTP.TLS.Cert)
	for i, folder := range f.Secrets.Folders {
		at := "secrets"
		if c.fields.Has("secrets.folders") {
			at = "secrets.folders[" + strconv.Itoa(i) + "]"
		}
		said := map[string]bool{}
		for _, w := range what {
			if w.path != "" && below(folder, w.path) {
				said[resolved(w.path)] = true
				c.found.fatal(at, "the folder %s holds %s: whoever may apply objects can have every file in it sent to a listener of his own; keep nothing there but secrets of Kafka clusters", folder, w.name)
			}
		}
		for _, k := range privateKeysIn(resolved(folder), guarded) {
			if !said[k.file] {
				c.found.fatal(at, "the folder %s holds %s, the private key of %s: whoever may apply objects can have it sent to a listener of his own; keep nothing there but secrets of Kafka clusters", folder, k.file, k.of)
			}
		}
	}
}

// below reports whether a path lies in a folder or in one below it, wherever
// symbolic links lead.
func below(folder, path string) bool {
	inside, err := filepath.Rel(resolved(folder), resolved(path))
	return err == nil && (inside == "." || filepath.IsLocal(inside))
}

// resolved follows symbolic links as far as there is something.
func resolved(path string) string {
	path, err := filepath.Abs(path)
	if err != nil {
		return path
	}
	for rest := ""; ; {
		if there, err := filepath.EvalSymlinks(path); err == nil {
			return filepath.Join(there, rest)
		}
		up := filepath.Dir(path)
		if up == path {
			return filepath.Join(path, rest)
		}
		rest, path = cmp.Or(filepath.Join(filepath.Base(path), rest), rest), up
	}
}
