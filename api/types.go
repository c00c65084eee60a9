package api

import (
	"time"

	"sluice/fsm"
	"sluice/manifest"
	"sluice/task"
)

// Version is the version of the transfer types.
const Version = "sluice/v1"

// Meta stands at the top of every answer: what it is, and how old.
type Meta struct {
	APIVersion string    `json:"apiVersion" doc:"Always sluice/v1."`
	Kind       string    `json:"kind" doc:"What the answer holds."`
	AsOf       time.Time `json:"asOf" doc:"When this node answered, UTC."`
	Index      uint64    `json:"index" doc:"Raft index of the facts that the answer rests on."`
	AgeMillis  *int64    `json:"ageMillis" doc:"Milliseconds since a leader confirmed that index to this node; null: never since it started."`
	Node       string    `json:"node" doc:"Name of the node that answered."`
	Leader     string    `json:"leader" doc:"Name of the leader; empty: there is none."`
	Quorum     bool      `json:"quorum" doc:"Whether anything can be changed now."`
}

// List is an answer of several items.
type List[T any] struct {
	Meta
	Items []T `json:"items"`
}

// Health is the short answer to "is it well".
type Health string

// The healths.
const (
	Healthy   Health = "healthy"   // everything copies or waits for records
	Working   Health = "working"   // something starts, catches up, or is slowed down by a quota
	Unhealthy Health = "unhealthy" // something needs a person
)

// Status is the whole picture, worst first.
type Status struct {
	Meta
	Health    Health   `json:"health" enum:"healthy,working,unhealthy"`
	Problems  []string `json:"problems" doc:"Why it is unhealthy, for a person."`
	Warnings  []string `json:"warnings" doc:"What needs a person before long, and makes nothing unhealthy yet."`
	ClusterID string   `json:"clusterId"`
	Feature   uint32   `json:"feature" doc:"Feature level: what all nodes know and the facts may hold. It rises by itself."`
	Nodes     []Node   `json:"nodes"`
	Links     []Link   `json:"links"`
	Tasks     []Task   `json:"tasks" doc:"Worst first, at most as many as were asked for."`
	TaskCount int      `json:"taskCount" doc:"How many tasks there are in all."`
	Totals    Totals   `json:"totals"`
	Events    []Event  `json:"events" doc:"Newest first."`
}

// Totals sums up copy tasks.
type Totals struct {
	Streams        int      `json:"streams"`
	Stopped        int      `json:"stopped" doc:"Streams that wait for a person."`
	Paused         int      `json:"paused" doc:"Streams of links that are paused or being deleted: nobody copies them, and lag and rate leave them out."`
	LagRecords     *int64   `json:"lagRecords" doc:"Sum; null: unknown, since that of a stream is, or since all are paused."`
	LagSeconds     *float64 `json:"lagSeconds" doc:"The largest; null: unknown, since that of a stream is, or of all, or since all are paused."`
	LagUnknown     int      `json:"lagUnknown" doc:"Streams, of those that are not paused, whose lag is not known now."`
	BytesPerSecond *float64 `json:"bytesPerSecond" doc:"Sum; null: unknown, since that of a stream is, or since all are paused."`
	Records        int64    `json:"records" doc:"Copied since the current generation of each stream began."`
}

// Node is a member of the cluster.
type Node struct {
	Name       string `json:"name"`
	ID         string `json:"id"`
	Datacenter string `json:"datacenter"`
	Address    string `json:"address" doc:"Peer address, host:port."`
	HTTP       string `json:"http" doc:"Address of its API, host:port."`
	Role       string `json:"role" enum:"leader,voter,non-voter"`
	State      string `json:"state" enum:"alive,silent,leaving"`
	AgeMillis  *int64 `json:"ageMillis" doc:"Milliseconds since its newest report; null: none has come."`
	Version    string `json:"version"`
	Feature    uint32 `json:"feature" doc:"Highest feature level that it knows."`
	Index      uint64 `json:"index" doc:"Index of the facts that it has carried out."`
	Tasks      int    `json:"tasks" doc:"How many it owns."`
	// Certificates are as the node said when it was last heard.
	Certificates []Certificate `json:"certificates" doc:"Certificates that it uses, the first to end first; null: not known, since it has not reported, or is of a version that does not tell."`
	NodeDisk
}

// NodeDisk is how a node's writes to its data dir go, as its newest report says.
type NodeDisk struct {
	Disk      *string    `json:"disk" doc:"Why it cannot write to its data dir; empty: it can; null: not known."`
	DiskSince *time.Time `json:"diskSince" doc:"Since when it cannot; null: it can, or that is not known."`
}

// Failing reports that the node cannot write, or could not when it was last
// heard.
func (d NodeDisk) Failing() bool { return d.Disk != nil && *d.Disk != "" }

// Link is a link and how it does.
type Link struct {
	Name        string     `json:"name"`
	ID          fsm.LinkID `json:"id"`
	State       string     `json:"state" enum:"running,paused,deleting" doc:"What it is told to do."`
	Condition   fsm.Code   `json:"condition" doc:"Reason code of its worst task."`
	Severity    string     `json:"severity" enum:"good,told,working,waiting,stopped" doc:"How bad the condition is."`
	Unconfirmed []string   `json:"unconfirmed" doc:"Nodes that have not reported that they carried out the last change."`
	LinkSettings
	Revision  uint64     `json:"revision" doc:"Index of the last change that an operator made."`
	CreatedAt time.Time  `json:"createdAt"`
	Topics    LinkTopics `json:"topics"`
	Totals    Totals     `json:"totals"`
}

// LinkTopics counts the topics that a link's selectors mean, as its link task
// saw both Kafka clusters last.
type LinkTopics struct {
	Selected  *int   `json:"selected" doc:"Topics that are to be copied; null: not known now."`
	Copied    *int   `json:"copied" doc:"Those of them that are copied whole; null: not known now."`
	LeftOut   *int   `json:"leftOut" doc:"Topics that a pattern means and a rule leaves out; null: not known now."`
	AgeMillis *int64 `json:"ageMillis" doc:"Milliseconds since both Kafka clusters were seen and all was done that the topics need; null: not yet."`
}

// LinkSettings is what an operator declared, defaults filled in.
type LinkSettings struct {
	Source            string      `json:"source"`
	Target            string      `json:"target"`
	Include           []string    `json:"include"`
	Exclude           []string    `json:"exclude"`
	Rename            string      `json:"rename"`
	Start             string      `json:"start"`
	Offsets           string      `json:"offsets"`
	OnLoss            string      `json:"onLoss"`
	Gaps              string      `json:"gaps" enum:"fill,translate"`
	OnSourceDeleted   string      `json:"onSourceDeleted" enum:"stop,end"`
	Copies            string      `json:"copies"`
	Writers           string      `json:"writers"`
	Limit             string      `json:"limit" doc:"Empty: none."`
	Filter            *fsm.Filter `json:"filter" doc:"null: all records are copied, as they are; else as in its manifest."`
	ReplicationFactor int16       `json:"replicationFactor" doc:"Of created topics; 0: the target's default."`
}

// LinkDetail is a link with its tasks.
type LinkDetail struct {
	Meta
	Link
	NotCopied []task.TopicState   `json:"notCopied" doc:"Selected topics that are not copied, or not whole, by name; at most 100."`
	LeftOut   []task.TopicLeftOut `json:"leftOut" doc:"Topics that a pattern means and a rule leaves out, by name; at most 100."`
	// Differ is as of the last look at each topic, about once a minute.
	Differ []task.TopicSetting `json:"settingsThatDiffer" doc:"Settings in which target topics differ from what their sources' ask for, by topic; at most 100."`
	Tasks  []Task              `json:"tasks" doc:"Worst first."`
	Events []Event             `json:"events" doc:"Newest first."`
}

// Task is a task and how it does.
type Task struct {
	ID          fsm.TaskID `json:"id"`
	Kind        string     `json:"kind" enum:"copy,link,observe,move"`
	Link        string     `json:"link"`
	Topic       string     `json:"topic"`
	Partition   int32      `json:"partition"`
	TargetTopic string     `json:"targetTopic"`
	Owner       string     `json:"owner" doc:"Name of the node that owns it; empty: nobody yet."`
	Turn        uint64     `json:"turn" doc:"How often it has changed hands."`
	State       fsm.Code   `json:"state" doc:"Reason code."`
	Severity    string     `json:"severity" enum:"good,told,working,waiting,stopped" doc:"How bad the state is."`
	Message     string     `json:"message"`
	From        *int64     `json:"from" doc:"First offset that the message is about; null: none."`
	To          *int64     `json:"to" doc:"Offset after the last one that it is about."`
	Side        string     `json:"side" enum:"source,target" doc:"Whose offsets From and To are."`
	Order       fsm.Order  `json:"order" doc:"Given to a stopped stream by an operator and not carried out yet; empty: none."`
	Filtered    *Filtered  `json:"filtered" doc:"What the link's filter did with records of the stream since its owner has it; null: the link has no filter, or it is not known."`
	Position
	Pace
}

// Position is where a stream stands.
type Position struct {
	Phase      string `json:"phase" doc:"filling, dense or translated; empty: not begun."`
	Shift      *int64 `json:"shift" doc:"Target minus source offset at the end; 0: identical; null: not begun."`
	Generation uint32 `json:"generation"`
	Source     *int64 `json:"source" doc:"Source offset of the next record; null: not known."`
	Target     *int64 `json:"target" doc:"Target offset of the next record; null: not known."`
	Records    int64  `json:"records" doc:"Copied in this generation."`
}

// Pace is what the owner of a task reported last.
type Pace struct {
	LagRecords     *int64   `json:"lagRecords" doc:"null: unknown."`
	LagSeconds     *float64 `json:"lagSeconds" doc:"null: unknown."`
	BytesPerSecond *float64 `json:"bytesPerSecond" doc:"null: unknown."`
	AgeMillis      *int64   `json:"ageMillis" doc:"Milliseconds since the owner's report; null: it has not reported on the task."`
}

// Event is something that an operator must find later.
type Event struct {
	Seq       uint64    `json:"seq"`
	Link      string    `json:"link" doc:"Empty: the cluster's own."`
	Topic     string    `json:"topic"`
	Partition *int32    `json:"partition" doc:"null: it concerns the whole topic, or none."`
	Node      string    `json:"node"`
	Code      fsm.Code  `json:"code"`
	Message   string    `json:"message"`
	Who       string    `json:"who" doc:"Who asked for it: name of the token, anonymous on an address, or a node; empty: nobody did."`
	Client    string    `json:"client" doc:"Address that it was asked from."`
	From      *int64    `json:"from" doc:"First offset concerned; null: none."`
	To        *int64    `json:"to" doc:"Offset after the last one concerned."`
	First     time.Time `json:"first"`
	Last      time.Time `json:"last"`
	Count     uint32    `json:"count" doc:"How often it happened from first to last."`
}

// Events are events, newest first.
type Events struct {
	Meta
	Dropped        uint64  `json:"dropped" doc:"Older ones that fell out of the rings."`
	LastingDropped uint64  `json:"lastingDropped" doc:"Losses, stops and acts of operators that fell out of theirs."`
	Items          []Event `json:"items"`
}

// Finding is something that preflight found.
type Finding struct {
	Link    string   `json:"link"`
	Code    fsm.Code `json:"code" doc:"Reason code; empty: none fits."`
	Message string   `json:"message"`
}

func (f Finding) String() string {
	text := "link " + f.Link + ": " + f.Message
	if f.Code != "" {
		text += " (" + string(f.Code) + ")"
	}
	return text
}

// ApplyRequest carries objects as text.
type ApplyRequest struct {
	Sources []manifest.Source `json:"sources" minItems:"1" doc:"The texts, with the names that errors give them."`
	DryRun  bool              `json:"dryRun,omitempty" doc:"Plan and check, but change nothing."`
	Compare bool              `json:"compare,omitempty" doc:"Plan only, without a look at the Kafka clusters: what differs from the objects that are there."`
	Delete  bool              `json:"delete,omitempty" doc:"Delete the objects instead. The target keeps its data."`
	Expect  []fsm.Expectation `json:"expect,omitempty" doc:"Revisions of links and Kafka clusters that a plan showed; a difference refuses the whole. 0: not there."`
}

// Plan is what an apply changes, or changed.
type Plan struct {
	Meta
	Applied  bool          `json:"applied"`
	Changes  []Change      `json:"changes"`
	Links    []PlannedLink `json:"links" doc:"What each link that is new or changes will copy."`
	Warnings []Finding     `json:"warnings"`
}

// Change is what happens to one object.
type Change struct {
	Action   manifest.Action        `json:"action" enum:"unchanged,create,update,delete"`
	Kind     manifest.Kind          `json:"kind" enum:"KafkaCluster,Link"`
	Name     string                 `json:"name"`
	Fields   []manifest.FieldChange `json:"fields"`
	Revision uint64                 `json:"revision" doc:"Of the object before the change; 0: there was none. Kafka clusters have one from feature level 6 on."`
}

// Objects are objects as YAML text.
type Objects struct {
	Meta
	YAML string `json:"yaml"`
}

// KafkaCluster is a Kafka cluster as it was declared; secrets are not shown.
type KafkaCluster struct {
	Name       string   `json:"name"`
	Bootstrap  []string `json:"bootstrap" doc:"host:port"`
	Datacenter string   `json:"datacenter"`
	ClusterID  string   `json:"clusterId" doc:"Pinned; empty: nobody has talked to it yet."`
	TLS        bool     `json:"tls"`
	SASL       string   `json:"sasl" doc:"Mechanism; empty: none."`
	Revision   *uint64  `json:"revision" doc:"Index of the last change that an operator made; null: not noted, below feature level 6."`
	Links      []string `json:"links" doc:"Links that read or write it."`
}

// StreamSelector names streams of a link.
type StreamSelector struct {
	Topic     string `json:"topic,omitempty" doc:"Empty: all of the link."`
	Partition *int32 `json:"partition,omitempty" minimum:"0" doc:"Absent: all of the topic."`
}

// Ack is the answer to a change.
type Ack struct {
	Meta
	Name        string   `json:"name"`
	State       string   `json:"state" doc:"What holds now."`
	Revision    uint64   `json:"revision" doc:"Index of the last change that State shows."`
	Unconfirmed []string `json:"unconfirmed" doc:"Nodes that have not reported yet that they carried it out."`
	Streams     *int     `json:"streams" doc:"How many streams took the order; null: the change is no order."`
	// Operation carries the change out where it takes several steps.
	Operation *fsm.OperationID `json:"operation" doc:"Id of the operation that carries it out; null: none."`
}

// VerifyRequest says what to compare.
type VerifyRequest struct {
	Link      string   `json:"link"`
	Topics    []string `json:"topics,omitempty" doc:"Source topics; empty: all of the link."`
	MaxFaults int      `json:"maxFaults,omitempty" minimum:"0" maximum:"1000" doc:"How many differences are listed; 0: 20. All are counted."`
}

// VerifyJob is a comparison, under way or done.
type VerifyJob struct {
	ID         string          `json:"id"`
	Link       string          `json:"link"`
	Topics     []string        `json:"topics" doc:"Source topics asked for; empty: all of the link."`
	Node       string          `json:"node" doc:"The node whose memory holds the job."`
	State      string          `json:"state" enum:"running,done,failed,cancelled"`
	Error      string          `json:"error" doc:"Why it failed, or was cancelled."`
	Started    time.Time       `json:"started" doc:"When the ends of both sides were read: what came later is not compared."`
	Finished   *time.Time      `json:"finished" doc:"null: not yet."`
	Partitions int             `json:"partitions" doc:"Partitions whose streams are compared."`
	Done       int             `json:"done" doc:"Partitions that are done with."`
	Offsets    int64           `json:"offsets" doc:"Source offsets passed so far, of total."`
	Total      int64           `json:"total"`
	Verdict    *Verdict        `json:"verdict" enum:"equal,differs,incomplete" doc:"equal: all that the link selects was compared, and is the same. incomplete: what was compared is the same, leftOut was not compared. null: not done."`
	Equal      bool            `json:"equal" doc:"The verdict is equal."`
	Selected   VerifyScope     `json:"selected" doc:"What the link selects."`
	Compared   VerifyScope     `json:"compared" doc:"What was compared and of which nothing was left out."`
	Counts     Counts          `json:"counts"`
	LeftOut    []VerifyLeftOut `json:"leftOut" doc:"What was not compared, wholly or in part, once it is done."`
	Ranges     []VerifyRange   `json:"ranges" doc:"Which offsets of each partition were compared, once it is done."`
	Faults     []Fault         `json:"faults" doc:"The first differences."`
}

// Verdict is the answer of a comparison.
type Verdict string

// The verdicts.
const (
	VerdictEqual      Verdict = "equal"
	VerdictDiffers    Verdict = "differs"
	VerdictIncomplete Verdict = "incomplete"
)

// VerifyScope counts topics and partitions of the source.
type VerifyScope struct {
	Topics     int `json:"topics"`
	Partitions int `json:"partitions"`
}

// VerifyLeftOut is something that the link selects and that was not compared.
type VerifyLeftOut struct {
	Topic      string  `json:"topic" doc:"Of the source; empty: it has none that the link selects."`
	Partitions []int32 `json:"partitions"`
	Reason     string  `json:"reason" enum:"nothing-selected,no-stream,stopped,paused,not-replicated,passed-over,gone-at-source,batch-too-large,place-unknown,compaction-unsure,retention-unsure,unreadable,topic-changed"`
	Message    string  `json:"message"`
	Offsets    *int64  `json:"offsets" doc:"Source offsets or records that were not compared; null: unknown."`
}

// VerifyRange is what of a partition was compared.
type VerifyRange struct {
	Topic     string `json:"topic" doc:"Of the source."`
	Partition int32  `json:"partition"`
	From      *int64 `json:"from" doc:"First source offset; null: nothing was compared to an end."`
	To        *int64 `json:"to" doc:"Source offset behind the last one."`
	Records   int64  `json:"records" doc:"That are the same on both sides."`
}

// Fault is one difference between the sides.
type Fault struct {
	Kind      string `json:"kind" enum:"missing,extra,differing,misordered,offset-mismatch"`
	Topic     string `json:"topic" doc:"Of the source."`
	Partition int32  `json:"partition"`
	Source    *int64 `json:"source" doc:"Source offset; null: none."`
	Target    *int64 `json:"target" doc:"Target offset; null: none."`
	Message   string `json:"message"`
}

// Verify is the answer about one job.
type Verify struct {
	Meta
	Job VerifyJob `json:"job"`
}
