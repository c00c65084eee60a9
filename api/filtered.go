package api

// Filtered counts records that a filter left out or changed.
type Filtered struct {
	Dropped     int64 `json:"dropped" doc:"Left out because the expression is false for them."`
	Changed     int64 `json:"changed" doc:"Copied with masked or hashed fields, or other headers."`
	Unparseable int64 `json:"unparseable" doc:"Left out because the filter could not be applied to them."`
}
