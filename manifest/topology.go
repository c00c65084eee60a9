package manifest

import (
	"context"
	"fmt"
	"strings"

	"sluice/fsm"
)

// route is a link with its patterns read.
type route struct {
	spec *fsm.LinkSpec
	sel  *fsm.Selector
	pos  Pos // zero for a link that is not of the manifest
	size int // of its patterns
	// names are the topics that it names exactly; loose tells that it has
	// patterns too.
	names []string
	loose bool
}

// isNew reports whether the link is of the manifest.
func (r *route) isNew() bool { return r.pos != Pos{} }

// sameName reports whether topics keep their names.
func (r *route) sameName() bool { return r.spec.Rename == "" }

// affixes are what stands before and after a topic's name at the target; ok is
// false when all topics get one name.
func (r *route) affixes() (before, after string, ok bool) {
	if r.sameName() {
		return "", "", true
	}
	return strings.Cut(strings.ReplaceAll(r.spec.Rename, "{source}", r.spec.Source), "{topic}")
}

// sourceOf is the source topic whose copy has the target name; ok is false
// when the link selects none.
func (r *route) sourceOf(target string) (topic string, ok bool) {
	before, after, ok := r.affixes()
	if !ok {
		return r.spec.Include[0], before == target
	}
	topic, ok = strings.CutPrefix(target, before)
	if ok {
		topic, ok = strings.CutSuffix(topic, after)
	}
	return topic, ok && r.sel.Selects(topic)
}

// matching counts what comparing links with one another costs, so that it ends.
type matching struct {
	ctx  context.Context
	left int
}

// may reports whether the link's patterns may be held against a topic's name
// still.
func (m *matching) may(r *route, topic string) bool {
	m.left -= (r.size + 1) * (len(topic) + 1)
	return m.left > 0 && m.ctx.Err() == nil
}

// over adds what there is to say when it may not go on.
func (m *matching) over(errs *Errors) {
	if m.left <= 0 {
		errs.add(Pos{}, "the links have so many topics and patterns that they cannot all be compared with one another; apply them in several parts, or use patterns that begin with letters, such as \"orders-*\"")
	}
}

// checkClusters refuses a link whose ends are one Kafka cluster under two
// names.
func checkClusters(r *route, kafka map[string]fsm.KafkaCluster, errs *Errors) {
	s, t := kafka[r.spec.Source], kafka[r.spec.Target]
	if s.ClusterID != "" && s.ClusterID == t.ClusterID {
		errs.add(r.pos, "link %s: %s and %s are the same Kafka cluster, %s", r.spec.Name, s.Name, t.Name, s.ClusterID)
	}
}

func newRoute(spec *fsm.LinkSpec, pos Pos) (*route, error) {
	sel, err := spec.Selector()
	if err != nil {
		return nil, fmt.Errorf("link %s: %w", spec.Name, err)
	}
	o := Object{Link: spec}
	r := &route{spec: spec, sel: sel, pos: pos, size: o.patterns()}
	for _, p := range spec.Include {
		if !fsm.ValidTopic(p) {
			r.loose = true
		} else if sel.Selects(p) {
			r.names = append(r.names, p)
		}
	}
	return r, nil
}
