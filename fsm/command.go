package fsm

import "errors"

// Type is the type of a command. Numbers are in the log: never reuse one.
type Type uint8

// The command types.
const (
	TypeClusterInit  Type = 1
	TypeNodePut      Type = 2
	TypeNodeRemove   Type = 3
	TypeFeatureLevel Type = 4
	TypeObjects      Type = 5
	TypeKafkaPin     Type = 6
	TypeLinkState    Type = 7
	TypeLinkPurge    Type = 8
	TypeLinkProducer Type = 9
	TypeStreamsAdd   Type = 10
	TypeAssign       Type = 11
	TypeMappingPut   Type = 12
	TypeProgress     Type = 13
	TypeTaskStop     Type = 14
	TypeTaskOrder    Type = 15
	TypeEvents       Type = 16
	TypeBarrier      Type = 17 // does nothing; its index proves a working log
	TypeOperation    Type = 18
	TypeStreamsEnd   Type = 19
	TypeBanLift      Type = 20
	TypeTokenPut     Type = 21
	TypeTokenRevoke  Type = 22
	TypeLinkHold     Type = 23
	TypeLinkAdopt    Type = 24
)

// Command is a change of the replicated facts. Every command is idempotent or
// carries the turn, version or revision that it was decided on.
type Command interface {
	Type() Type
}

// Errors of decoding; a node that meets one must stop, since it can no longer
// be equal to the others.
var (
	ErrCorrupt = errors.New("corrupt command")
	ErrUnknown = errors.New("unknown command or field: this node is older than the cluster's feature level")
)

// The commands. At is always the proposer's clock in unix ms.
type (
	// ClusterInit gives the cluster its id; the first one wins.
	ClusterInit struct {
		ClusterID string `json:"clusterId"`
		At        int64  `json:"at"`
	}
	// NodePut adds a node or replaces what is known of it.
	NodePut struct {
		Node  Node   `json:"node"`
		Token string `json:"token,omitempty" feature:"5"` // hash of that with which it joins, which is used up
		Act   *Act   `json:"act,omitempty" feature:"3"`   // who wants it to join or to leave
		At    int64  `json:"at"`
	}
	// NodeRemove forgets a node. Its tasks keep their owner until reassigned.
	NodeRemove struct {
		ID  string `json:"id"`
		Ban bool   `json:"ban,omitempty" feature:"5"` // its certificate is banned
		Act *Act   `json:"act,omitempty" feature:"3"`
		At  int64  `json:"at"`
	}
	// FeatureRaise raises the feature level; a lower one is ignored.
	FeatureRaise struct {
		Level uint32 `json:"level"`
	}
	// Objects applies a set of objects, all or none. Expect holds what the
	// proposer saw; a difference refuses the whole.
	Objects struct {
		Kafka       []KafkaCluster `json:"kafka,omitempty"`
		Links       []LinkPut      `json:"links,omitempty"`
		DeleteKafka []string       `json:"deleteKafka,omitempty"`
		DeleteLinks []string       `json:"deleteLinks,omitempty"`
		Expect      []Expectation  `json:"expect,omitempty"`
		By          string         `json:"by,omitempty" feature:"2"` // name of the node that was asked
		Act         *Act           `json:"act,omitempty" feature:"3"`
		At          int64          `json:"at"`
	}
	// LinkPut creates the link of that name or changes its spec. Starts is
	// used on creation only.
	LinkPut struct {
		Spec   LinkSpec  `json:"spec"`
		Starts []StartAt `json:"starts,omitempty"`
	}
	// Expectation: the link, or the Kafka cluster, of that name has this revision,
	// 0: it is not there.
	Expectation struct {
		Link     string `json:"link,omitempty"`
		Revision uint64 `json:"revision"`
		Kafka    string `json:"kafka,omitempty" feature:"6"` // instead of a link
	}
	// KafkaPin pins the cluster id of a Kafka cluster; the first one wins.
	KafkaPin struct {
		Name      string `json:"name"`
		ClusterID string `json:"clusterId"`
		Revision  uint64 `json:"revision,omitempty" feature:"6"` // of the object that was followed there, 0: whatever it is
	}
	// LinkState pauses or runs a link, whatever else was changed: nodes propose
	// Objects now, which expect it as it was seen.
	LinkState struct {
		Link  LinkID `json:"link"`
		State string `json:"state"`
		Act   *Act   `json:"act,omitempty" feature:"3"`
		At    int64  `json:"at"`
	}
	// LinkPurge removes a link that is being deleted, with its tasks; its
	// producer ids are remembered, and its events.
	LinkPurge struct {
		Link LinkID `json:"link"`
	}
	// LinkProducer records the producer id that the target issued for a link;
	// the first one wins, a later one needs Prev, the id that it replaces.
	LinkProducer struct {
		Link       LinkID `json:"link"`
		ProducerID int64  `json:"producerId"`
		Prev       int64  `json:"prev"` // -1: none
	}
	// LinkHold lets a link that has streams stand, because its claim in the
	// target's ledger is another Sluice cluster's.
	LinkHold struct {
		Link LinkID `json:"link"`
		By   string `json:"by"` // id of that Sluice cluster
		At   int64  `json:"at"`
	}
	// LinkAdopt takes a link over from a Sluice cluster that is lost, with its
	// producer id: the link runs, and each of its streams finds out first how
	// far that one came.
	LinkAdopt struct {
		Link       LinkID `json:"link"`
		From       string `json:"from"`       // id of the Sluice cluster
		ProducerID int64  `json:"producerId"` // by its claim, -1: unknown
		Act        *Act   `json:"act,omitempty"`
		At         int64  `json:"at"`
	}
	// StreamsAdd adds copy tasks; those that exist are left alone. Those in
	// Again go on where a stream that has ended was, if that is known still.
	StreamsAdd struct {
		Link    LinkID      `json:"link"`
		Streams []StreamKey `json:"streams"`
		Again   []StreamKey `json:"again,omitempty" feature:"3"`
		At      int64       `json:"at"`
	}
	// StreamsEnd removes the copy tasks of source topics; what they knew is kept
	// (EndedStream). With Gone it means only those that are stopped because
	// their source topic is gone.
	StreamsEnd struct {
		Link     LinkID   `json:"link"`
		Revision uint64   `json:"revision,omitempty"` // of the link when it was decided, 0: whatever it is
		Topics   []string `json:"topics,omitempty"`   // empty: all of the link
		Gone     bool     `json:"gone,omitempty"`
		Reason   string   `json:"reason"`       // for the event: why
		By       string   `json:"by,omitempty"` // name of the node that proposed it
		Act      *Act     `json:"act,omitempty"`
		At       int64    `json:"at"`
		Seen     uint64   `json:"seen,omitempty" feature:"6"` // as in TaskOrder
	}
	// Assign gives tasks to nodes.
	Assign struct {
		Items []Assignment `json:"items"`
		At    int64        `json:"at"`
	}
	// Assignment gives one task to the node To if its turn is still Turn. With
	// Handover the owner drains it and releases it to To; else To owns it now.
	Assignment struct {
		Task     TaskID `json:"t"`
		Turn     uint64 `json:"n"`
		To       string `json:"to"`
		Handover bool   `json:"h,omitempty"`
	}
	// MappingPut commits a mapping if the node still owns the task at this
	// turn and the mapping's version is Mapping.Version-1. It carries out the
	// task's order, if it has one, and lifts its stop.
	MappingPut struct {
		Task     TaskID   `json:"task"`
		Turn     uint64   `json:"turn"`
		Mapping  Mapping  `json:"mapping"`
		Progress Progress `json:"progress"`
		Event    *Event   `json:"event,omitempty"`
		At       int64    `json:"at"`
	}
	// TaskStop records why a stream stands, if its mapping still has the
	// version that the cause was met under; 0: whatever it has.
	TaskStop struct {
		Task    TaskID `json:"task"`
		Turn    uint64 `json:"turn"`
		Version uint32 `json:"version,omitempty"`
		Stop    Stop   `json:"stop"`
		Event   *Event `json:"event,omitempty"`
	}
	// TaskOrder gives stopped streams of a link an order. An empty Topic means
	// all of the link, a negative Partition all of the topic. It is for the stops
	// of the facts that it was decided on: of a command under way twice, the
	// second copy finds an order that is younger than these.
	TaskOrder struct {
		Link      LinkID `json:"link"`
		Topic     string `json:"topic,omitempty"`
		Partition int32  `json:"partition"`
		Order     Order  `json:"order"`
		Act       *Act   `json:"act,omitempty" feature:"3"`
		At        int64  `json:"at"`
		Seen      uint64 `json:"seen,omitempty" feature:"6"` // index of the View; streams that stopped or got an order later are left alone, 0: none are
	}
	// EventsAdd records events.
	EventsAdd struct {
		Events []Event `json:"events"`
	}
	// OperationStep takes a running operation from one step to another, if it
	// still stands at From; the same one only notes what it met. With a State
	// other than running it ends there.
	OperationStep struct {
		Operation OperationID    `json:"operation"`
		From      Step           `json:"from"`
		To        Step           `json:"to"`
		State     OperationState `json:"state"`
		Message   string         `json:"message,omitempty"`
		Event     *Event         `json:"event,omitempty"`
		At        int64          `json:"at"`
	}
	// BanLift lifts all bans on nodes of a name.
	BanLift struct {
		Name string `json:"name"`
		Act  *Act   `json:"act,omitempty"`
		At   int64  `json:"at"`
	}
	// TokenPut lets a node join once; a former token of the node is void.
	TokenPut struct {
		Token Token `json:"token"`
		Act   *Act  `json:"act,omitempty"`
		At    int64 `json:"at"`
	}
	// TokenRevoke takes a node's token away.
	TokenRevoke struct {
		Node string `json:"node"`
		Act  *Act   `json:"act,omitempty"`
		At   int64  `json:"at"`
	}
	// Barrier does nothing.
	Barrier struct{}
)

// Type implements Command.
func (*ClusterInit) Type() Type { return TypeClusterInit }

// Type implements Command.
func (*NodePut) Type() Type { return TypeNodePut }

// Type implements Command.
func (*NodeRemove) Type() Type { return TypeNodeRemove }

// Type implements Command.
func (*FeatureRaise) Type() Type { return TypeFeatureLevel }

// Type implements Command.
func (*Objects) Type() Type { return TypeObjects }

// Type implements Command.
func (*KafkaPin) Type() Type { return TypeKafkaPin }

// Type implements Command.
func (*LinkState) Type() Type { return TypeLinkState }

// Type implements Command.
func (*LinkPurge) Type() Type { return TypeLinkPurge }

// Type implements Command.
func (*LinkProducer) Type() Type { return TypeLinkProducer }

// Type implements Command.
func (*LinkHold) Type() Type { return TypeLinkHold }

// Type implements Command.
func (*LinkAdopt) Type() Type { return TypeLinkAdopt }

// Type implements Command.
func (*StreamsAdd) Type() Type { return TypeStreamsAdd }

// Type implements Command.
func (*StreamsEnd) Type() Type { return TypeStreamsEnd }

// Type implements Command.
func (*Assign) Type() Type { return TypeAssign }

// Type implements Command.
func (*MappingPut) Type() Type { return TypeMappingPut }

// Type implements Command.
func (*TaskStop) Type() Type { return TypeTaskStop }

// Type implements Command.
func (*TaskOrder) Type() Type { return TypeTaskOrder }

// Type implements Command.
func (*EventsAdd) Type() Type { return TypeEvents }

// Type implements Command.
func (*OperationStep) Type() Type { return TypeOperation }

// Type implements Command.
func (*BanLift) Type() Type { return TypeBanLift }

// Type implements Command.
func (*TokenPut) Type() Type { return TypeTokenPut }

// Type implements Command.
func (*TokenRevoke) Type() Type { return TypeTokenRevoke }

// Type implements Command.
func (*Barrier) Type() Type { return TypeBarrier }
