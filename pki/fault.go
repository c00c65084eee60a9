package pki

import "fmt"

// Fault is something wrong with a node's TLS files.
type Fault struct {
	Key     string // of Files: cert, key or ca
	Refused bool   // whoever is careful refuses the certificate, and it can be shown all the same
	Warning bool   // it works, for now or for whoever has taken care
	Open    bool   // it works, and others can read what they must not
	Message string // names the file
}

// faults gathers what is wrong.
type faults []Fault

func (f *faults) add(key, format string, args ...any) {
	*f = append(*f, Fault{Key: key, Message: fmt.Sprintf(format, args...)})
}

func (f *faults) warn(key, format string, args ...any) {
	f.add(key, format, args...)
	f.last().Warning = true
}

func (f *faults) last() *Fault { return &(*f)[len(*f)-1] }

// hard is the first fault with which the files are of no use; empty: there is
// none.
func (f faults) hard() string {
	for _, x := range f {
		if !x.Warning && !x.Open {
			return x.Message
		}
	}
	return ""
}
