package reason

import (
	"sluice/fsm"
)

// Severity orders reason codes: the higher, the more a person is needed.
type Severity int

// The severities, from good to bad.
const (
	Good    Severity = iota // copies, or waits for records
	Told                    // stands because it was told to
	Working                 // starts, catches up, or goes as fast as it may
	Waiting                 // tried again by itself, but something is wrong
	Stopped                 // waits for a person
)

// String is the severity in one word, as the API shows it.
func (s Severity) String() string {
	switch s {
	case Good:
		return "good"
	case Told:
		return "told"
	case Working:
		return "working"
	case Waiting:
		return "waiting"
	case Stopped:
	}
	return "stopped"
}

// MarshalText implements encoding.TextMarshaler.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler. A word that it does not
// know, of a newer node, is taken for the worst.
func (s *Severity) UnmarshalText(b []byte) error {
	for *s = Good; *s < Stopped && s.String() != string(b); *s++ {
	}
	return nil
}

// Side is where the cause of a reason code lies.
type Side string

// The sides.
const (
	None    Side = "none"    // there is nothing wrong
	Source  Side = "source"  // the link's source Kafka cluster
	Target  Side = "target"  // the link's target Kafka cluster
	Both    Side = "both"    // either of them: the message names it
	Cluster Side = "cluster" // Sluice's own nodes
)

// Actor is who makes it go on.
type Actor string

// The actors.
const (
	Nobody   Actor = "nobody"                 // nothing is to be done
	Sluice   Actor = "Sluice"                 // by itself
	AtSource Actor = "operator at the source" // who runs the source Kafka cluster
	AtTarget Actor = "operator at the target" // who runs the target Kafka cluster
	AtEither Actor = "operator of that side"  // who runs the Kafka cluster that the message names
	AtSluice Actor = "operator of Sluice"     // who runs the links and nodes
)

// Row is what there is to know about one reason code. Meaning and Advice are
// one line each, without a capital at their begin or a stop at their end, so
// that they stand inside other sentences.
type Row struct {
	Code     fsm.Code
	Severity Severity
	Side     Side
	Acts     Actor
	Policy   bool // the link's onLoss policy may go on from such a stop by itself
	Batch    bool // the stop is about what comes next at the source, which stays so wherever the target stands
	Event    bool // told by events alone: nothing is in such a state
	Meaning  string
	Advice   string
}
