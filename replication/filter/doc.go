// Package filter decides which records of a link are copied, and changes what
// must not leave: a CEL expression says which records are kept, headers are
// dropped or renamed, fields of JSON values are masked or hashed by name.
//
// Check says what is wrong with a spec, Compile makes a Filter of it, and
// Filter.Apply judges one record. It is pure: a spec, a secret and records in,
// verdicts out; the same record gets the same verdict on every node and at every
// reading. It must not know streams, batches, or where a secret is kept.
//
// JSON is read as the bytes it is (json.go): an expression looks a field up in
// them (value.go), and only the bytes of a masked field are replaced (fields.go).
// No tree is built, so a number keeps its digits and the memory of a record does
// not depend on how it is nested. What a record may cost is bounded.
//
// No message holds anything of a record but its offsets: what is filtered out
// must not come back in a log.
package filter
