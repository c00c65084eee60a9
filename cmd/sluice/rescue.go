package main

import (
	"fmt"
	"os"
	"time"

	"sluice/cli"
	"sluice/cluster"
	"sluice/fsm"
)

// rescue are the verbs that work on a data dir whose node does not run.
type rescue struct{}

// settings reads what node.yaml says about the node's identity and its data dir.
func (rescue) settings(path string) (cluster.Config, string, error) {
	f, fields, err := readFile(path)
	if err != nil {
		return cluster.Config{}, "", err
	}
	p, found := f.configs(f.Peer.TLS == peerTLSFile{})
	return p.cluster, p.transport.Advertise, found.err(fatal, fields)
}

// Examine reads the data dir of node.yaml, which comes first, and others beside.
func (r rescue) Examine(config string, others []string) ([]cli.DataDir, error) {
	cfg, _, err := r.settings(config)
	if err != nil {
		return nil, err
	}
	var out []cli.DataDir
	var first *cluster.Held
	for _, dir := range append([]string{cfg.DataDir}, others...) {
		h, err := cluster.Read(dir)
		if err != nil {
			return nil, err
		}
		if first == nil {
			first = h
		}
		if h.Facts.View().ClusterID != first.Facts.View().ClusterID {
			return nil, fmt.Errorf("%s is of the Sluice cluster %s, %s of %s: only data dirs of one can be compared",
				dir, h.Facts.View().ClusterID, first.Dir, first.Facts.View().ClusterID)
		}
		out = append(out, shown(h, first))
	}
	return out, nil
}

func shown(h, first *cluster.Held) cli.DataDir {
	v := h.Facts.View()
	d := cli.DataDir{
		Dir: h.Dir, Node: h.NameOf(h.ServerID), ClusterID: v.ClusterID, Term: h.Term, Index: h.Index, Later: h.Later(first), Links: len(v.Links), Others: []string{},
	}
	for t := range v.Tasks {
		if t.Kind == fsm.KindCopy {
			d.Streams++
		}
	}
	for _, m := range h.Members {
		if string(m.ID) != h.ServerID {
			d.Others = append(d.Others, h.NameOf(string(m.ID)))
		}
	}
	return d
}

// Recover makes the node of node.yaml the only one of a new cluster.
func (r rescue) Recover(config string) (cli.Rescued, error) {
	cfg, advertise, err := r.settings(config)
	if err != nil {
		return cli.Rescued{}, err
	}
	h, err := cluster.Read(cfg.DataDir)
	if err != nil {
		return cli.Rescued{}, err
	}
	id, kept, err := cluster.Recover(h, advertise, time.Now())
	return cli.Rescued{ClusterID: id, Node: cfg.Name, Index: h.Index, Kept: kept}, err
}

// Restore makes the node of node.yaml, which has no data yet, the only one of a
// new cluster that has the facts of a file.
func (r rescue) Restore(config, file string) (cli.Rescued, error) {
	cfg, advertise, err := r.settings(config)
	if err != nil {
		return cli.Rescued{}, err
	}
	f, err := os.Open(file)
	if err != nil {
		return cli.Rescued{}, fmt.Errorf("opening the snapshot: %w", err)
	}
	defer f.Close()
	head, state, err := fsm.ReadBackup(f)
	if err != nil {
		return cli.Rescued{}, fmt.Errorf("%s: %w", file, err)
	}
	id, err := cluster.Restore(cfg.DataDir, advertise, state, time.Now())
	return cli.Rescued{ClusterID: id, Node: cfg.Name, Index: head.Index}, err
}
