package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/goccy/go-yaml"

	"sluice/api"
	"sluice/cluster"
	"sluice/manifest"
	"sluice/replication"
	"sluice/transport"
)

// nodeFile is node.yaml: who this node is, where it listens and keeps its
// data, and whom it joins. Everything else is an object in Raft.
type nodeFile struct {
	Name       string   `yaml:"name"`
	Datacenter string   `yaml:"datacenter"`
	DataDir    string   `yaml:"dataDir"`
	Peer       peerFile `yaml:"peer"`
	HTTP       httpFile `yaml:"http"`
	Join       []string `yaml:"join"`
	Profile    string   `yaml:"profile"`
	Memory     string   `yaml:"memory"`
	Log        string   `yaml:"log"` // debug, info, warn or error
}

type peerFile struct {
	Listen    string             `yaml:"listen"`
	Advertise string             `yaml:"advertise"`
	DialFrom  string             `yaml:"dialFrom"`
	TLS       transport.TLSFiles `yaml:"tls"`
}

type httpFile struct {
	Listen    string `yaml:"listen"`
	Advertise string `yaml:"advertise"`
	TLS       struct {
		Cert string `yaml:"cert"`
		Key  string `yaml:"key"`
	} `yaml:"tls"`
	TokenFile string `yaml:"tokenFile"`
}

// defaultFile holds what node.yaml may leave out.
func defaultFile() nodeFile {
	return nodeFile{HTTP: httpFile{Listen: api.DefaultConfig().Listen}, Profile: string(cluster.ProfileLAN), Memory: "256MiB", Log: "info"}
}

// readFile reads node.yaml strictly; errors name line and column.
func readFile(path string) (nodeFile, error) {
	f := defaultFile()
	b, err := os.ReadFile(path)
	if err != nil {
		return f, fmt.Errorf("reading the node's configuration: %w", err)
	}
	if err := yaml.UnmarshalWithOptions(b, &f, yaml.Strict()); err != nil {
		return f, fmt.Errorf("%s: %s", path, yaml.FormatError(err, false, true))
	}
	// Files are named from where node.yaml is.
	dir := filepath.Dir(path)
	for _, p := range []*string{&f.DataDir, &f.Peer.TLS.Cert, &f.Peer.TLS.Key, &f.Peer.TLS.CA, &f.HTTP.TLS.Cert, &f.HTTP.TLS.Key, &f.HTTP.TokenFile} {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(dir, *p)
		}
	}
	return f, nil
}

// parts are the packages' own configurations, made from node.yaml.
type parts struct {
	transport   transport.Config
	cluster     cluster.Config
	api         api.Config
	replication replication.Config
}

// configs turns node.yaml into the packages' configurations, and reports
// every mistake at once.
func (f nodeFile) configs(insecure bool) (parts, error) {
	p := parts{transport: transport.DefaultConfig(), cluster: cluster.DefaultConfig(), api: api.DefaultConfig(), replication: replication.DefaultConfig()}
	p.transport.Listen, p.transport.Advertise, p.transport.DialFrom = f.Peer.Listen, f.Peer.Advertise, f.Peer.DialFrom
	p.transport.TLS, p.transport.Insecure = f.Peer.TLS, insecure
	p.api.Listen, p.api.Advertise, p.api.TokenFile = f.HTTP.Listen, f.HTTP.Advertise, f.HTTP.TokenFile
	p.api.Cert, p.api.Key = f.HTTP.TLS.Cert, f.HTTP.TLS.Key
	p.cluster.Name, p.cluster.Datacenter, p.cluster.DataDir = f.Name, f.Datacenter, f.DataDir
	p.cluster.Join, p.cluster.Profile = f.Join, cluster.Profile(f.Profile)
	p.cluster.HTTP = f.HTTP.Advertise
	if p.cluster.HTTP == "" {
		p.cluster.HTTP = f.HTTP.Listen
	}
	memory, err := manifest.ParseSize(f.Memory)
	p.replication.Memory = int64(memory)
	p.replication.Lease = p.cluster.Profile.DeadAfter()
	return p, errors.Join(err, p.transport.Validate(), p.cluster.Validate(), p.api.Validate(), p.replication.Validate())
}
