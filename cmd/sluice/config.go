package main

import (
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"sluice/api"
	"sluice/cluster"
	"sluice/kafka"
	"sluice/manifest"
	"sluice/pki"
	"sluice/replication/stream"
	"sluice/transport"
)

// nodeFile is node.yaml: who this node is, where it listens and keeps its
// data, and whom it joins. Everything else is an object in Raft.
type nodeFile struct {
	Name       string        `yaml:"name" doc:"Name of the node, which no other node of the Sluice cluster has and which its certificate must hold. A node keeps its name: to give it another one, let it leave, and start it with the new name, a certificate for that and an empty data dir. Needed." example:"n1"`
	Datacenter string        `yaml:"datacenter" doc:"Where the node is. A link's streams go to nodes in the datacenter of its target Kafka cluster, where there are any." example:"us-east"`
	DataDir    string        `yaml:"dataDir" doc:"Folder for Raft's log and snapshots, for this node alone. With another folder it is another node. Needed." example:"/var/lib/sluice"`
	Peer       peerFile      `yaml:"peer"`
	HTTP       httpFile      `yaml:"http"`
	Join       []string      `yaml:"join" doc:"Peer addresses of the other nodes. The nodes that are to found the cluster list each other; later ones list some that are there. An empty list, [], founds a cluster of this node. A node whose certificate is for a host listed here, with that port, may join when it asks this node." example:"[n2.example:7400, n3.example:7400]"`
	Allow      []string      `yaml:"allow" doc:"Names of nodes that may join without a token when they ask this node, beside those that join lists." example:"[n4, n5]"`
	Profile    string        `yaml:"profile" doc:"lan, or wan where nodes are more than a few milliseconds apart: a silent node is taken for dead after 3 or 10 seconds." example:"wan"`
	DeadVoter  string        `yaml:"deadVoterAfter" doc:"How long a voter is dead until it loses its vote, where the others can bear more without it; never below the quorum of the planned voters. Where another member can vote in its place it loses it after five minutes. never: neither. The leader's counts. Left out: 24h with profile lan, never with wan." example:"48h"`
	Memory     manifest.Size `yaml:"memory" doc:"Record batches that the node may hold in memory, at least 16MiB. The process takes more: see sizing." example:"512MiB"`
	ClientID   string        `yaml:"clientId" doc:"Client id by which the brokers see this node. With the same for all nodes, one Kafka quota holds for all." example:"sluice"`
	Secrets    secretsFile   `yaml:"secrets"`
	Log        string        `yaml:"log" doc:"What is logged: debug, info, warn or error." example:"debug"`
	CoreDumps  bool          `yaml:"coreDumps" doc:"Whether the node's process may leave a core file, and be looked into by other processes of its user (gdb, strace); left out: neither. Its memory holds the secrets that it uses, so true is for finding a fault, and a core file is then to be kept as a secret." example:"false"`
}

// secretsFile says what objects may refer to. Whoever may apply objects can
// send it to a listener of his own.
type secretsFile struct {
	Folders []string `yaml:"folders" doc:"Folders whose files objects may refer to as ${file:/path}; a folder below counts too. Whoever may apply objects can send what is in them to a listener of his own: keep nothing else there." example:"[/etc/sluice/secrets]"`
	Env     []string `yaml:"env" doc:"What the names of environment variables begin with that objects may refer to as ${env:NAME}." example:"[SLUICE_SECRET_]"`
}

type peerFile struct {
	Listen    string      `yaml:"listen" doc:"Address for the other nodes. All that nodes say to each other goes through this port. Needed." example:"0.0.0.0:7400"`
	Advertise string      `yaml:"advertise" doc:"Address at which other nodes reach this one; the certificate must name its host. With another one than before the node has moved: the leader notes it. Left out: peer.listen." example:"n1.example:7400"`
	DialFrom  string      `yaml:"dialFrom" doc:"Local IP address from which the node dials others. Left out: the operating system chooses." example:"10.0.0.1"`
	TLS       peerTLSFile `yaml:"tls"`
}

type peerTLSFile struct {
	Cert string `yaml:"cert" doc:"File with the node's certificate, PEM. Read anew for each connection. Needed, but for server --insecure on loopback." example:"n1.pem"`
	Key  string `yaml:"key" doc:"File with its private key, PEM, which nobody but the node may read: mode 0600." example:"n1.key"`
	CA   string `yaml:"ca" doc:"File with the certificates of the authorities that may sign nodes, PEM." example:"ca.pem"`
}

type httpFile struct {
	Listen    string      `yaml:"listen" doc:"Address of the API, the page and the metrics. Other than loopback only with http.tls and http.tokenFile." example:"0.0.0.0:8080"`
	Advertise string      `yaml:"advertise" doc:"Address of the API as other nodes show it. Left out: http.listen." example:"n1.example:8080"`
	TLS       httpTLSFile `yaml:"tls"`
	TokenFile string      `yaml:"tokenFile" doc:"File with the token that every request to the API must bear; or with several, one a line as NAME TOKEN, whose names events show: of less than 16 characters, which a token has at least." example:"/etc/sluice/token"`
}

type httpTLSFile struct {
	Cert string `yaml:"cert" doc:"File with the API's certificate, PEM. Read anew for each connection." example:"http.pem"`
	Key  string `yaml:"key" doc:"File with its private key, PEM." example:"http.key"`
}

// defaultFile holds what node.yaml may leave out.
func defaultFile() nodeFile {
	return nodeFile{
		HTTP: httpFile{Listen: api.DefaultConfig().Listen}, Profile: string(cluster.ProfileLAN),
		Memory: manifest.Size(stream.DefaultConfig().Memory), ClientID: kafka.DefaultConfig().ClientID, Log: "info",
		Secrets: secretsFile{Folders: []string{"secrets"}, Env: kafka.DefaultConfig().Secrets.Env},
	}
}

// readFile reads node.yaml strictly: a fault is named with line, column and
// the nearest key. Files are named from where node.yaml is.
func readFile(path string) (nodeFile, manifest.Fields, error) {
	f := defaultFile()
	b, err := os.ReadFile(path)
	if err != nil {
		return f, nil, fmt.Errorf("reading the node's configuration: %w; name another file with -c", err)
	}
	docs, err := manifest.Documents(path, b)
	if err != nil {
		return f, nil, err
	}
	if len(docs) == 0 {
		return f, nil, fmt.Errorf("%s: is empty; a node needs name, dataDir and peer.listen at least", path)
	}
	if len(docs) != 1 {
		return f, nil, fmt.Errorf("%s: holds %d documents; a node's configuration is one, objects such as links are applied (`sluice apply`)", path, len(docs))
	}
	fields, err := docs[0].Decode(&f)
	if err != nil {
		if docs[0].IsObject() {
			err = fmt.Errorf("%s: holds an object, not a node's configuration; `sluice apply -f` takes it", path)
		}
		return f, nil, err
	}
	here, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return f, nil, fmt.Errorf("reading the node's configuration: %w", err)
	}
	var texts []manifest.Error
	for key, p := range f.paths() {
		switch {
		case strings.Contains(*p, "\n") || strings.Contains(*p, "-----BEGIN"): // it is not shown: it may be a private key
			texts = append(texts, manifest.Error{Pos: fields.At(key), Message: key + ": holds text, as of a key or certificate; put that into a file, which only the node may read, and give its path"})
		case *p != "" && !filepath.IsAbs(*p):
			*p = filepath.Join(here, *p)
		}
	}
	return f, fields, manifest.Faults(texts)
}

// paths are the values that name files, by their keys.
func (f *nodeFile) paths() map[string]*string {
	out := map[string]*string{
		"dataDir": &f.DataDir, "peer.tls.cert": &f.Peer.TLS.Cert, "peer.tls.key": &f.Peer.TLS.Key, "peer.tls.ca": &f.Peer.TLS.CA,
		"http.tls.cert": &f.HTTP.TLS.Cert, "http.tls.key": &f.HTTP.TLS.Key, "http.tokenFile": &f.HTTP.TokenFile,
	}
	for i := range f.Secrets.Folders {
		out[fmt.Sprintf("secrets.folders[%d]", i)] = &f.Secrets.Folders[i]
	}
	return out
}

// parts are the packages' own configurations, made from node.yaml.
type parts struct {
	transport   transport.Config
	cluster     cluster.Config
	api         api.Config
	replication stream.Config
	kafka       kafka.Config
	log         slog.Level
	coreDumps   bool
}

// configs turns node.yaml into the packages' configurations, and reports
// every mistake at once.
func (f nodeFile) configs(insecure bool) (parts, findings) {
	p := parts{
		transport: transport.DefaultConfig(), cluster: cluster.DefaultConfig(), api: api.DefaultConfig(),
		replication: stream.DefaultConfig(), kafka: kafka.DefaultConfig(),
	}
	p.transport.Listen, p.transport.Advertise, p.transport.DialFrom = f.Peer.Listen, f.Peer.Advertise, f.Peer.DialFrom
	p.transport.TLS, p.transport.Insecure = pki.Files(f.Peer.TLS), insecure
	p.api.Listen, p.api.Advertise, p.api.TokenFile = f.HTTP.Listen, f.HTTP.Advertise, f.HTTP.TokenFile
	p.api.Cert, p.api.Key = f.HTTP.TLS.Cert, f.HTTP.TLS.Key
	p.cluster.Name, p.cluster.Datacenter, p.cluster.DataDir = f.Name, f.Datacenter, f.DataDir
	p.cluster.Join, p.cluster.Allow, p.cluster.Profile = f.Join, f.Allow, cluster.Profile(f.Profile)
	p.cluster.DeadVoterAfter = f.deadVoterAfter()
	p.cluster.HTTP = f.HTTP.Advertise
	if p.cluster.HTTP == "" {
		p.cluster.HTTP = f.HTTP.Listen
	}
	p.kafka.ClientID, p.kafka.Secrets = f.ClientID, kafka.Secrets(f.Secrets)
	p.replication.Memory = int64(f.Memory)
	p.coreDumps = f.CoreDumps
	p.replication.Lease = p.cluster.Profile.DeadAfter()
	found := f.check()
	if p.cluster.DeadVoterAfter == 0 && f.DeadVoter != "" {
		found.fatal("deadVoterAfter", "%q is neither never nor a duration of a minute or more, like 24h", f.DeadVoter)
	}
	if p.log.UnmarshalText([]byte(f.Log)) != nil {
		found.fatal("log", "%q is none of debug, info, warn and error", f.Log)
	}
	found.join("peer", p.transport.Validate())
	found.join("", p.cluster.Validate())
	found.join("clientId", p.kafka.Validate())
	found.join("secrets", p.kafka.Secrets.Validate())
	found.join("http", p.api.Validate())
	found.join("", p.replication.Validate())
	return p, found
}

// deadVoterAfter is less than 0 for never, and 0 where nothing, or nothing that
// makes sense, is said.
func (f nodeFile) deadVoterAfter() time.Duration {
	if f.DeadVoter == "never" {
		return -1
	}
	if d, err := time.ParseDuration(f.DeadVoter); err == nil && d >= time.Minute {
		return d
	}
	return 0
}

// check finds what no package looks at.
func (f nodeFile) check() findings {
	var found findings
	if f.Name != "" {
		found.join("name", manifest.CheckName(f.Name))
	}
	if f.Datacenter != "" {
		found.join("datacenter", manifest.CheckName(f.Datacenter))
	}
	for i, a := range f.Join {
		at := fmt.Sprintf("join[%d]", i)
		found.join(at, manifest.CheckAddress(a))
		if slices.Contains(f.Join[:i], a) {
			found.add(wrong, at, "%s stands in the list twice", a)
		}
	}
	for i, name := range f.Allow {
		found.join(fmt.Sprintf("allow[%d]", i), manifest.CheckName(name))
	}
	f.checkPorts(&found)
	return found
}

// checkPorts looks at the ports of what is host:port; the rest is said by the
// parts.
func (f nodeFile) checkPorts(found *findings) {
	ports := map[string]string{}
	for _, x := range []struct {
		path, address string
		least         int // 0 lets the operating system choose
	}{
		{"peer.listen", f.Peer.Listen, 0}, {"peer.advertise", f.Peer.Advertise, 1}, {"http.listen", f.HTTP.Listen, 0}, {"http.advertise", f.HTTP.Advertise, 1},
	} {
		_, port, err := net.SplitHostPort(x.address)
		if err != nil {
			continue
		}
		if n, err := strconv.Atoi(port); err != nil || n < x.least || n > 65535 {
			found.fatal(x.path, "%q: the port is a number from 1 to 65535", x.address)
		}
		ports[x.path] = port
	}
	switch {
	case ports["peer.listen"] == "0" && f.Peer.Advertise == "":
		found.fatal("peer.listen", "%q: other nodes need a port that they can dial", f.Peer.Listen)
	case f.Peer.Listen == f.HTTP.Listen && ports["peer.listen"] != "0" && f.Peer.Listen != "":
		found.fatal("http.listen", "%q is peer.listen too; give the API a port of its own", f.HTTP.Listen)
	}
}
