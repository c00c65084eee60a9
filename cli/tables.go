package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"sluice/api"
)

func nodeTable(nodes []api.Node) *table {
	t := &table{cols: []column{
		{key: "node", head: "NODE", flex: true}, {key: "role", head: "ROLE"}, {key: "state", head: "STATE"},
		{key: "datacenter", head: "DC", flex: true}, {key: "tasks", head: "TASKS", right: true}, {key: "age_ms", head: "HEARD", right: true},
		{key: "index", head: "INDEX", right: true}, {key: "version", head: "VERSION", wide: true},
		{key: "address", head: "ADDRESS", wide: true}, {key: "http", head: "HTTP", wide: true}, {key: "id", head: "ID", wide: true},
		{key: "certificate_until", head: "CERT UNTIL", wide: true},
		{key: "disk"}, {key: "disk_since"},
	}}
	for i := range nodes {
		n := &nodes[i]
		why, since := diskCells(n)
		t.add(c(n.Name), c(n.Role), nodeState(n), c(orDash(n.Datacenter)), c(strconv.Itoa(n.Tasks)), millis(n.AgeMillis),
			c(strconv.FormatUint(n.Index, 10)), c(orDash(n.Version)), c(n.Address), c(orDash(n.HTTP)), c(n.ID), certificateCell(*n), why, since)
	}
	return t
}

// certificateCell is when the first of the certificates ends that a node shows,
// empty where it is not known.
func certificateCell(n api.Node) cell {
	for _, x := range n.Certificates { // the first to end first
		if x.Use != "peer-ca" {
			c := cell{text: x.Until.UTC().Format(time.DateOnly), raw: x.Until.UTC().Format(time.RFC3339)}
			switch x.State {
			case "soon":
				c.color = yellow
			case "near", "last", "over":
				c.color = red
			}
			return c
		}
	}
	if n.Certificates != nil {
		return cell{text: "none", raw: "none"}
	}
	return c("-")
}

// memberTable is nodeTable with why a node cannot write, which status tells
// among the problems.
func memberTable(nodes []api.Node) *table {
	t := nodeTable(nodes)
	for _, n := range nodes {
		if n.Failing() {
			t.notes = append(t.notes, fmt.Sprintf("%s: %s, since %s", n.Name, *n.Disk, n.DiskSince.Format("2006-01-02 15:04:05Z")))
		}
	}
	return t
}

func nodeState(n *api.Node) cell {
	state := cell{text: n.State, color: green}
	switch {
	case n.State == "silent", n.Failing():
		state.color = red
	case n.State == "leaving":
		state.color = yellow
	}
	return state
}

// diskCells are how a node's writes go, and since when they fail: for scripts
// "ok", or why they do.
func diskCells(n *api.Node) (why, since cell) {
	switch {
	case n.Disk == nil:
		return c("-"), c("-")
	case !n.Failing():
		return cell{text: "ok", color: green}, c("-")
	}
	return cell{text: "fails", raw: *n.Disk, color: red}, cell{text: n.DiskSince.Format("2006-01-02 15:04:05Z"), raw: n.DiskSince.Format("2006-01-02T15:04:05.000Z")}
}

func linkTable(links []api.Link) *table {
	t := &table{cols: []column{
		{key: "link", head: "LINK", flex: true}, {key: "source", head: "FROM", flex: true}, {key: "target", head: "TO", flex: true},
		{key: "state"}, {key: "condition", head: "STATE"}, {key: "topics", head: "TOPICS", right: true}, {key: "topics_copied"}, {key: "topics_left_out"}, {key: "streams", head: "STREAMS", right: true},
		{key: "stopped", head: "STOPPED", right: true}, {key: "lag_records", head: "LAG", right: true}, {key: "lag_seconds", head: "BEHIND", right: true},
		{key: "bytes_per_second", head: "RATE", right: true}, {key: "records", head: "RECORDS", right: true, wide: true},
		{key: "unconfirmed", head: "NOT CONFIRMED", wide: true}, {key: "rename", head: "RENAME", wide: true}, {key: "offsets", head: "OFFSETS", wide: true},
		{key: "revision", head: "REVISION", right: true, wide: true},
	}}
	for _, l := range links {
		if l.State != "running" && len(l.Unconfirmed) > 0 {
			t.notes = append(t.notes, unconfirmed(l.Name, l.State, l.Unconfirmed))
		}
		stopped := c(strconv.Itoa(l.Totals.Stopped))
		if l.Totals.Stopped > 0 {
			stopped.color = red
		}
		t.add(c(l.Name), c(l.Source), c(l.Target), c(l.State), colored(l.Condition), topicsCell(l.Topics), integer(l.Topics.Copied), integer(l.Topics.LeftOut), c(strconv.Itoa(l.Totals.Streams)), stopped,
			optional(l.Totals.LagRecords), seconds(l.Totals.LagSeconds), rate(l.Totals.BytesPerSecond), number(l.Totals.Records),
			c(orDash(strings.Join(l.Unconfirmed, ","))), c(orDash(l.Rename)), c(l.Offsets), c(strconv.FormatUint(l.Revision, 10)))
	}
	return t
}

// topicsCell is "3/4": copied of those that are selected.
func topicsCell(t api.LinkTopics) cell {
	if t.Selected == nil || t.Copied == nil {
		return c("-")
	}
	x := cell{text: strconv.Itoa(*t.Selected), raw: strconv.Itoa(*t.Selected)}
	if *t.Copied < *t.Selected {
		x.text, x.color = fmt.Sprintf("%d/%d", *t.Copied, *t.Selected), red
	}
	return x
}

func integer(n *int) cell {
	if n == nil {
		return c("-")
	}
	return c(strconv.Itoa(*n))
}

func taskTable(tasks []api.Task) *table {
	t := &table{cols: []column{
		{key: "link", head: "LINK", flex: true}, {key: "kind"}, {key: "topic"}, {key: "partition"}, {key: "stream", head: "STREAM", flex: true},
		{key: "node", head: "NODE", flex: true}, {key: "state", head: "STATE", flex: true}, {key: "lag_records", head: "LAG", right: true},
		{key: "lag_seconds", head: "BEHIND", right: true}, {key: "bytes_per_second", head: "RATE", right: true},
		{key: "phase", head: "PHASE", wide: true}, {key: "shift", head: "SHIFT", right: true, wide: true},
		{key: "source_offset", head: "SOURCE", right: true, wide: true}, {key: "target_offset", head: "TARGET", right: true, wide: true},
		{key: "records", head: "RECORDS", right: true, wide: true}, {key: "turn", head: "TURN", right: true, wide: true},
		{key: "id", head: "TASK", right: true, wide: true}, {key: "offsets", head: "OFFSETS", wide: true}, {key: "message", head: "MESSAGE", wide: true},
	}}
	for _, x := range tasks {
		t.add(c(x.Link), c(x.Kind), c(orDash(x.Topic)), taskPartition(x), c(stream(x)), c(orDash(x.Owner)), colored(x.State),
			optional(x.LagRecords), seconds(x.LagSeconds), rate(x.BytesPerSecond), c(orDash(x.Phase)), offset(x.Shift), offset(x.Source), offset(x.Target),
			number(x.Records), c(strconv.FormatUint(x.Turn, 10)), c(fmt.Sprint(x.ID)), c(offsets(x.From, x.To)), c(orDash(x.Message)))
	}
	return t
}

// offset is a number that is never rounded: an offset.
func offset(n *int64) cell {
	if n == nil {
		return c("-")
	}
	return c(strconv.FormatInt(*n, 10))
}

func eventTable(events []api.Event, now time.Time) *table {
	t := &table{cols: []column{
		{key: "last", head: "WHEN"}, {key: "first"}, {key: "seq"}, {key: "count", head: "N", right: true, wide: true},
		{key: "link", head: "LINK", flex: true, wide: true}, {key: "topic"}, {key: "partition"},
		{key: "node", head: "NODE", wide: true}, {key: "code", head: "EVENT"}, {key: "from"}, {key: "to"}, {key: "message", head: "MESSAGE", flex: true, wrap: true},
		{key: "who"}, {key: "client"},
	}}
	for _, e := range events {
		t.add(moment(e.Last, now), moment(e.First, now), c(strconv.FormatUint(e.Seq, 10)), c(strconv.Itoa(int(e.Count))),
			c(orDash(e.Link)), c(orDash(e.Topic)), eventPartition(e), c(orDash(e.Node)), c(string(e.Code)), offset(e.From), offset(e.To), cell{text: sentence(e), raw: e.Message},
			c(orDash(e.Who)), c(orDash(e.Client)))
	}
	return t
}

// sentence is an event's message with what a person needs beside it.
func sentence(e api.Event) string {
	where := e.Link
	if e.Partition != nil {
		where = fmt.Sprintf("%s %s/%d:", e.Link, e.Topic, *e.Partition)
	} else if where != "" {
		where += ":"
	}
	text := strings.TrimSpace(where + " " + e.Message)
	if e.Who != "" {
		text += ", asked by " + e.Who
		if e.Client != "" && !strings.HasPrefix(e.Who, "anonymous") {
			text += " from " + e.Client
		}
	}
	if e.Count > 1 {
		text += fmt.Sprintf(" (%d times)", e.Count)
	}
	return text
}

func kafkaTable(clusters []api.KafkaCluster) *table {
	t := &table{cols: []column{
		{key: "name", head: "NAME", flex: true}, {key: "datacenter", head: "DC", flex: true}, {key: "bootstrap", head: "BOOTSTRAP", flex: true},
		{key: "tls", head: "TLS"}, {key: "sasl", head: "SASL"}, {key: "cluster_id", head: "CLUSTER ID", flex: true}, {key: "links", head: "LINKS", flex: true},
	}}
	for _, k := range clusters {
		t.add(c(k.Name), c(orDash(k.Datacenter)), c(strings.Join(k.Bootstrap, ",")), c(strconv.FormatBool(k.TLS)), c(orDash(k.SASL)),
			c(orDash(k.ClusterID)), c(orDash(strings.Join(k.Links, ","))))
	}
	return t
}

func changeTable(changes []api.Change) *table {
	t := &table{cols: []column{
		{key: "action", head: "ACTION"}, {key: "kind", head: "KIND"}, {key: "name", head: "NAME"}, {key: "fields", head: "CHANGES", flex: true},
	}}
	for _, x := range changes {
		var fields []string
		for _, f := range x.Fields {
			fields = append(fields, f.Path)
		}
		t.add(c(string(x.Action)), c(string(x.Kind)), c(x.Name), c(orDash(strings.Join(fields, ","))))
	}
	return t
}

// taskPartition means something only where there is a topic.
func taskPartition(x api.Task) cell {
	if x.Topic == "" {
		return c("-")
	}
	return c(strconv.Itoa(int(x.Partition)))
}

func eventPartition(e api.Event) cell {
	if e.Partition == nil {
		return c("-")
	}
	return c(strconv.Itoa(int(*e.Partition)))
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
