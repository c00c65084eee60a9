package fsm

// LinkID names a link for ever; a link deleted and created again under the
// same name gets a new one.
type LinkID uint64

// Words of LinkSpec.
const (
	StartEarliest = "earliest"
	StartLatest   = "latest"

	OffsetsAuto       = "auto"
	OffsetsIdentical  = "identical"
	OffsetsTranslated = "translated"

	GapsFill      = "" // transactions of a filler at the target take them
	GapsTranslate = "translate"

	OnLossHalt     = "halt"
	OnLossContinue = "continue"
	OnLossRecopy   = "recopy"

	OnSourceDeletedStop = "" // the streams stop until an operator decides
	OnSourceDeletedEnd  = "end"

	CopiesSkipFromTarget = "skip-from-target"
	CopiesSkipAll        = "skip-all"

	UnparseableStop = "" // the stream stops until an operator decides
	UnparseableDrop = "drop"

	WritersOurs   = "ours"
	WritersShared = "shared"

	StateRunning = "running"
	StatePaused  = "paused"
)

// LinkSpec is a link as an operator declared it, defaults filled in.
type LinkSpec struct {
	Name              string   `json:"name"`
	Source            string   `json:"source"` // a KafkaCluster's name
	Target            string   `json:"target"` // a KafkaCluster's name
	Include           []string `json:"include"`
	Exclude           []string `json:"exclude,omitempty"`
	Rename            string   `json:"rename,omitempty"` // template with {topic} and {source}
	Start             string   `json:"start"`            // earliest, latest or an RFC 3339 time
	Offsets           string   `json:"offsets"`
	Gaps              string   `json:"gaps,omitempty" feature:"6"` // what becomes of offsets that transactions take without a record; empty: they are filled
	OnLoss            string   `json:"onLoss"`
	OnSourceDeleted   string   `json:"onSourceDeleted,omitempty" feature:"3"` // empty: its streams stop; end: they end
	Copies            string   `json:"copies"`
	Writers           string   `json:"writers"`
	Limit             int64    `json:"limit,omitempty"`              // bytes/s, 0: none
	Filter            *Filter  `json:"filter,omitempty" feature:"6"` // nil: all records are copied, as they are
	ReplicationFactor int16    `json:"replicationFactor,omitempty"`  // of created target topics, 0: the target's default
	State             string   `json:"state"`                        // running or paused
}

// Filter says which records a link copies, and what of them it changes. It holds
// for all records of the link, from the first on.
type Filter struct {
	Keep          string   `json:"keep,omitempty"`          // CEL: true for records that are copied; empty: all are
	DropHeaders   []string `json:"dropHeaders,omitempty"`   // names
	RenameHeaders []Rename `json:"renameHeaders,omitempty"` // those that are left
	Mask          []string `json:"mask,omitempty"`          // paths to fields of JSON values
	Hash          []string `json:"hash,omitempty"`          // paths to fields of JSON values
	Secret        string   `json:"secret,omitempty"`        // a reference: what fields are hashed with
	OnUnparseable string   `json:"onUnparseable,omitempty"` // what becomes of a record that cannot be judged; empty: its stream stops
}

// Rename gives a header another name.
type Rename struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// Translated reports whether the link's streams are translated from their start
// on: a filter leaves out records, which take no offset then.
func (l *LinkSpec) Translated() bool { return l.Offsets == OffsetsTranslated || l.Filter != nil }

// References are the secrets that the link refers to.
func (l *LinkSpec) References() []Reference {
	if l.Filter == nil {
		return nil
	}
	return references(Reference{"spec.filter.secret", l.Filter.Secret})
}

// Link is a link with what the cluster decided about it.
type Link struct {
	ID         LinkID    `json:"id"`
	Spec       LinkSpec  `json:"spec"`
	CreatedAt  int64     `json:"createdAt"`          // unix ms, the proposer's clock
	Revision   uint64    `json:"revision"`           // Raft index of the last change an operator made
	Deleting   bool      `json:"deleting,omitempty"` // its tasks stop; it is purged when their owners have confirmed
	ProducerID int64     `json:"producerId"`         // issued by the target, -1: none yet; the first command wins
	Starts     []StartAt `json:"starts,omitempty"`   // resolved when the link was created, sorted by topic

	Held    string `json:"held,omitempty" feature:"6"`    // another Sluice cluster may copy what this link does: it does not run until it is adopted
	Adopted string `json:"adopted,omitempty" feature:"6"` // the Sluice cluster from which the link was taken over last
}

// StartAt holds the start offsets that `start: latest` or a time meant for the
// partitions of one topic at the moment the link was created. Partitions that
// it does not list begin at their log start.
type StartAt struct {
	Topic   string  `json:"topic"`
	Offsets []int64 `json:"offsets"` // by partition
}

// StartOf returns the offset resolved for a partition when the link was
// created, or -1: the log start.
func (l *Link) StartOf(topic string, partition int32) int64 {
	for _, s := range l.Starts {
		if s.Topic == topic && partition >= 0 && int(partition) < len(s.Offsets) {
			return s.Offsets[partition]
		}
	}
	return -1
}

// Running reports whether the link's tasks should run.
func (l *Link) Running() bool { return !l.Deleting && l.Held == "" && l.Spec.State != StatePaused }

// SpentID is a producer id that a link wrote under and that no link has any
// more: the link was deleted or took another. Loop detection must know it as
// long as its batches may still be read. Kafka clusters are remembered by their
// ids: under a name there may be another one by now.
type SpentID struct {
	Kafka      string `json:"kafka"` // name of the target that it wrote to
	ProducerID int64  `json:"producerId"`
	Link       string `json:"link"`
	Source     string `json:"source,omitempty" feature:"2"` // cluster id of the link's source, empty: unknown
	Target     string `json:"target,omitempty" feature:"2"` // cluster id of its target, empty: unknown
}

// Node is a member as the cluster knows it. Whether it votes is Raft's own
// configuration.
type Node struct {
	ID         string `json:"id"` // ServerID: random, lives and dies with the data dir
	Name       string `json:"name"`
	Datacenter string `json:"datacenter,omitempty"`
	Addr       string `json:"addr"`                      // advertised peer address, host:port
	HTTP       string `json:"http,omitempty"`            // address of its API, host:port
	Feature    uint32 `json:"feature"`                   // highest feature level that it knows
	Leaving    bool   `json:"leaving,omitempty"`         // drains: gets no task, hands over those it has
	Key        string `json:"key,omitempty" feature:"5"` // hex SHA-256 of its certificate's public key (SubjectPublicKeyInfo); empty: none, or unknown
}
