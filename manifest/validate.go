package manifest

import (
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strings"
	"time"

	"sluice/fsm"
	"sluice/replication/filter"
)

// CheckName reports what is wrong with the name of an object or node: 1 to 63
// letters, digits, '.', '_' and '-' that begin with a letter or digit. A Kafka
// cluster's name may become part of topic names.
func CheckName(name string) error {
	if !fsm.ValidTopic(name) || len(name) > 63 || strings.ContainsAny(name[:1], "._-") {
		return fmt.Errorf("%q is not a name: 1 to 63 letters, digits, '.', '_', '-', the first a letter or digit", name)
	}
	return nil
}

// check finds what is wrong with the object for itself, without others.
func (o *Object) check(errs *Errors) {
	c := checker{o, errs}
	c.name("metadata.name", o.Name)
	if o.Kafka != nil {
		c.kafka(o.Kafka)
	} else {
		c.link(o.Link)
	}
}

type checker struct {
	*Object
	errs *Errors
}

func (c checker) fault(path, format string, args ...any) {
	c.errs.add(c.At(path), "%s: %s", path, fmt.Sprintf(format, args...))
}

func (c checker) name(path, name string) {
	switch err := CheckName(name); {
	case name == "":
		c.fault(path, "is missing")
	case err != nil:
		c.fault(path, "%v", err)
	}
}

func (c checker) oneOf(path, word string, known ...string) {
	if word == "" {
		c.fault(path, "is missing%s", suggest("", known))
	} else if !slices.Contains(known, word) {
		c.fault(path, "%q is unknown%s", word, suggest(word, known))
	}
}

func (c checker) kafka(k *fsm.KafkaCluster) {
	if len(k.Bootstrap) == 0 {
		c.fault("spec.bootstrap", "is missing; name at least one broker, host:port")
	}
	for i, addr := range k.Bootstrap {
		switch err := CheckAddress(addr); {
		case err != nil && strings.Contains(addr, "@"):
			c.fault(fmt.Sprintf("spec.bootstrap[%d]", i), "%v; the login is given in spec.sasl, its password by reference", err)
		case err != nil:
			c.fault(fmt.Sprintf("spec.bootstrap[%d]", i), "%v", err)
		}
	}
	if k.Datacenter != "" {
		c.name("spec.datacenter", k.Datacenter)
	}
	if t := k.TLS; t != nil {
		c.pem("spec.tls.ca", t.CA, true)
		c.pem("spec.tls.cert", t.Cert, true)
		c.pem("spec.tls.key", t.Key, false)
		if (t.Cert == "") != (t.Key == "") {
			c.fault("spec.tls", "cert and key go together")
		}
		if strings.ContainsAny(t.ServerName, ": /") && net.ParseIP(t.ServerName) == nil {
			c.fault("spec.tls.serverName", "%q is not the name of a host: it has no port and no scheme", t.ServerName)
		}
	}
	if s := k.SASL; s != nil {
		c.oneOf("spec.sasl.mechanism", s.Mechanism, "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
		if s.Username == "" {
			c.fault("spec.sasl.username", "is missing")
		}
		if s.Password == "" {
			c.fault("spec.sasl.password", "is missing")
		} else if err := checkSecret(s.Password); err != nil {
			c.fault("spec.sasl.password", "%v", err)
		}
	}
}

// pem checks a certificate or key: a reference, or the text itself where that
// is no secret.
func (c checker) pem(path, text string, plain bool) {
	switch err := checkSecret(text); {
	case text == "":
	case plain && strings.Contains(text, "PRIVATE KEY"):
		c.fault(path, "holds a private key as text, which would stand in the replicated log; keep the certificates only, and give the key by reference in spec.tls.key, ${file:/path} or ${env:NAME}")
	case plain && strings.HasPrefix(strings.TrimSpace(text), "-----BEGIN CERTIFICATE-----"):
		if block, _ := pem.Decode([]byte(strings.TrimSpace(text))); block == nil {
			c.fault(path, "a certificate begins here that cannot be read: is it cut off, or are its lines joined?")
		}
	case plain && !strings.HasPrefix(text, "${"):
		c.fault(path, "neither a certificate as text (PEM) nor a reference, ${file:/path} or ${env:NAME}")
	case err != nil:
		c.fault(path, "%v", err)
	}
}

// variable holds what names of environment variables are made of.
const variable = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_"

// checkSecret never shows the text: it may be the secret.
func checkSecret(text string) error {
	kind, ref, ok := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(text, "${"), "}"), ":")
	switch {
	case !strings.HasPrefix(text, "${") || !strings.HasSuffix(text, "}"):
		return fmt.Errorf("a secret is given by reference, ${file:/path} or ${env:NAME}, never as text: it would stand in the replicated log")
	case !ok: // what stands in the braces may be the secret
		return fmt.Errorf("a reference begins with its kind, ${file:/path} or ${env:NAME}")
	case kind != "file" && kind != "env":
		return fmt.Errorf("a reference is of the kind file or env, ${file:/path} or ${env:NAME}%s", DidYouMean(kind, "file", "env"))
	case kind == "file" && !strings.HasPrefix(ref, "/"):
		return fmt.Errorf("a file is named by its whole path, ${file:/path}: every node reads its own")
	case kind == "env" && ref == "":
		return fmt.Errorf("the variable's name is missing, ${env:NAME}")
	case kind == "env" && strings.Trim(ref, variable) != "":
		return fmt.Errorf("a variable's name is of letters, digits and _, ${env:NAME}; its value is the secret and does not stand here")
	}
	return nil
}

func (c checker) link(l *fsm.LinkSpec) {
	c.name("spec.source", l.Source)
	c.name("spec.target", l.Target)
	if l.Source == l.Target && l.Source != "" {
		c.fault("spec.target", "is the source itself")
	}
	c.topics(l)
	c.rename(l)
	c.oneOf("spec.offsets", l.Offsets, fsm.OffsetsAuto, fsm.OffsetsIdentical, fsm.OffsetsTranslated)
	c.oneOf("spec.onLoss", l.OnLoss, fsm.OnLossHalt, fsm.OnLossContinue, fsm.OnLossRecopy)
	c.oneOf("spec.gaps", Gaps(l), gapsFill, fsm.GapsTranslate)
	c.oneOf("spec.onSourceDeleted", OnSourceDeleted(l), sourceDeletedStop, fsm.OnSourceDeletedEnd)
	c.oneOf("spec.copies", l.Copies, fsm.CopiesSkipFromTarget, fsm.CopiesSkipAll)
	c.oneOf("spec.writers", l.Writers, fsm.WritersOurs, fsm.WritersShared)
	if l.State != "" {
		c.oneOf("spec.state", l.State, fsm.StateRunning, fsm.StatePaused)
	}
	if at := "spec.targetTopics.replicationFactor"; l.ReplicationFactor < 0 || l.ReplicationFactor == 0 && c.Fields.Has(at) {
		c.fault(at, "%d is less than 1; leave it out for the target's default", l.ReplicationFactor)
	}
	c.start(l)
	if l.Filter != nil {
		c.filter(l)
	}
	if l.Offsets == fsm.OffsetsIdentical && l.Writers == fsm.WritersShared {
		c.fault("spec.writers", "offsets cannot be identical where others write too; choose offsets: auto or writers: ours")
	}
}

// filter checks that the filter can be applied: all that a node would find later.
func (c checker) filter(l *fsm.LinkSpec) {
	f := l.Filter
	if l.Offsets == fsm.OffsetsIdentical {
		c.fault("spec.offsets", "offsets cannot be identical where a filter leaves records out; choose offsets: auto")
	}
	if f.OnUnparseable == "quarantine" {
		c.fault("spec.filter.onUnparseable", "a topic for what cannot be parsed is not supported yet; choose stop or drop")
	} else {
		c.oneOf("spec.filter.onUnparseable", OnUnparseable(f), unparseableStop, fsm.UnparseableDrop)
	}
	if f.Secret != "" {
		if err := checkSecret(f.Secret); err != nil {
			c.fault("spec.filter.secret", "%v", err)
		}
	}
	if faults, ok := errors.AsType[filter.Faults](filter.Check(f)); ok {
		for _, x := range faults {
			c.fault("spec.filter."+x.Key, "%s", x.Message)
		}
	}
}

func (c checker) start(l *fsm.LinkSpec) {
	if l.Start != fsm.StartEarliest && l.Start != fsm.StartLatest {
		if _, err := time.Parse(time.RFC3339, l.Start); err != nil {
			c.fault("spec.start", "%q is neither earliest, latest nor a time like 2026-01-31T12:00:00Z%s",
				l.Start, DidYouMean(l.Start, fsm.StartEarliest, fsm.StartLatest))
			return
		}
	}
	if l.Offsets == fsm.OffsetsIdentical && l.Start != fsm.StartEarliest {
		c.fault("spec.start", "offsets: identical copies from the earliest record; with start: %s the offsets differ by a constant: choose offsets: auto", l.Start)
	}
}

func (c checker) topics(l *fsm.LinkSpec) {
	if len(l.Include) == 0 {
		c.fault("spec.topics.include", `is missing; name topics, a "prefix*" or a "/regular expression/"; "*" is all`)
	}
	for key, patterns := range map[string][]string{"include": l.Include, "exclude": l.Exclude} {
		for i, p := range patterns {
			at := fmt.Sprintf("spec.topics.%s[%d]", key, i)
			if patternSize(p) > maxPattern {
				c.fault(at, "the topic pattern is too large; counted repeats such as {1000} make it so")
			} else if _, err := fsm.ParseSelector([]string{p}, nil); err != nil {
				c.fault(at, "%v", err)
			} else if key == "include" && fsm.Reserved(strings.TrimPrefix(p, "/")) && !strings.Contains(p, "|") {
				c.fault(at, "topic pattern %q: topics whose names begin with __ belong to Kafka or to Sluice itself; no link copies them", p)
			}
		}
	}
}

// rename checks the template: known placeholders, and two topics never get
// the same name.
func (c checker) rename(l *fsm.LinkSpec) {
	if l.Rename == "" {
		return
	}
	for _, p := range regexp.MustCompile(`\{[^}]*\}?`).FindAllString(l.Rename, -1) {
		if p != "{topic}" && p != "{source}" {
			c.fault("spec.rename", "unknown placeholder %s%s", p, suggest(p, []string{"{topic}", "{source}"}))
			return
		}
	}
	switch n := strings.Count(l.Rename, "{topic}"); {
	case n > 1:
		c.fault("spec.rename", "{topic} stands in it %d times; once is enough", n)
	case n == 0 && (len(l.Include) != 1 || !fsm.ValidTopic(l.Include[0])):
		c.fault("spec.rename", "without {topic} all topics would get the same name; only a link of a single topic can do that")
	case !fsm.ValidTopic(l.TargetTopic("t")):
		c.fault("spec.rename", "%q does not give a topic name: letters, digits, '.', '_' and '-'", l.Rename)
	case fsm.Reserved(l.TargetTopic("t")) || fsm.Internal(l.TargetTopic("t")):
		c.fault("spec.rename", "%q gives names that are kept for internal topics of Kafka or MirrorMaker", l.Rename)
	}
}
