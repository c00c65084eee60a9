package fsm

// Act says who asked for a change, from where, and what it does. It stands in
// the command, so that the event is made when the change is.
type Act struct {
	Who    string `json:"who"`              // name of the token; else the node, or "anonymous on" and the address
	Client string `json:"client,omitempty"` // address that the request came from
	Node   string `json:"node"`             // name of the node that was asked
	Did    []Deed `json:"did"`
	At     int64  `json:"at"` // unix ms, the clock of the node that was asked
}

// Deed is what an act does to one object.
type Deed struct {
	Link string `json:"link,omitempty"` // name; empty: the object is none of a link
	Text string `json:"text"`           // for a person
}
