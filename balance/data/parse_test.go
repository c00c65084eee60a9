package data

import (
	"errors"
	"testing"
)

// FuzzParse reads any two files: either the error names the file, or the model
// is one that can be planned on and checked.
func FuzzParse(f *testing.F) {
	f.Add("1,a,1000,1,1,ok\n2,b,0.5,1,1,new,/d0:10 /d1\n", "t,0,1 2,9.25,1,1,any /d0\nt,1,2,1,1,1\n")
	f.Add("\ufeff# x\n7,,1,1,1,draining\r\n900000,r,1,1,1,dead\n", "t,0,900000 7,1,1,1\n")
	f.Add("1,a,99999999999999999999,1,1,ok\n", "t,0,1,-1,NaN,1e9\n")
	f.Fuzz(func(t *testing.T, brokers, parts string) {
		if len(brokers) > 400 || len(parts) > 600 {
			return
		}
		var where *ParseError
		b, err := ParseBrokers("b", []byte(brokers))
		if err != nil {
			if !errors.As(err, &where) || where.File != "b" {
				t.Fatalf("an error without a place: %v", err)
			}
			return
		}
		p, err := ParsePartitions("p", []byte(parts), b)
		if err != nil {
			if !errors.As(err, &where) || where.File != "p" || where.Line == 0 {
				t.Fatalf("an error without a place: %v", err)
			}
			return
		}
		m := &Model{Brokers: b, Partitions: p}
		if m.Validate() == nil {
			planAndCheck(t, m, DefaultOptions())
		}
	})
}
