package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"sluice/api"
	"sluice/replication/verify"
)

// verifier is the comparisons of this node as the API sees them.
type verifier struct {
	jobs *verify.Jobs
	node string
}

func (v verifier) Start(_ context.Context, r api.VerifyRequest) (api.VerifyJob, error) {
	j, err := v.jobs.Start(verify.Request{Link: r.Link, Topics: r.Topics, MaxFaults: r.MaxFaults})
	if err != nil {
		return api.VerifyJob{}, verifyError(err)
	}
	return v.job(j), nil
}

func (v verifier) Get(id string) (api.VerifyJob, error) {
	j, err := v.jobs.Get(id)
	if err != nil {
		return api.VerifyJob{}, verifyError(err)
	}
	return v.job(j), nil
}

func (v verifier) List() []api.VerifyJob {
	var out []api.VerifyJob
	for _, j := range v.jobs.List() {
		out = append(out, v.job(j))
	}
	return out
}

func (v verifier) Cancel(id string) error { return verifyError(v.jobs.Cancel(id)) }

// verifyError turns the comparer's errors into those that the API knows.
func verifyError(err error) error {
	switch {
	case errors.Is(err, verify.ErrNoJob):
		return fmt.Errorf("%w: %w", api.ErrNoVerify, err)
	case errors.Is(err, verify.ErrBusy):
		return &api.Problem{
			Type: "about:blank", Title: http.StatusText(http.StatusTooManyRequests), Status: http.StatusTooManyRequests, Code: api.CodeBusy,
			Detail: err.Error(), Next: "wait until one has ended, stop one with `sluice link verify --id ID --cancel`, or ask another node (--address)",
		}
	case errors.Is(err, verify.ErrNoLink), errors.Is(err, verify.ErrNotSelected):
		return &api.Problem{
			Type: "about:blank", Title: http.StatusText(http.StatusNotFound), Status: http.StatusNotFound, Code: api.CodeNotFound,
			Detail: err.Error(), Next: "see what it copies with `sluice link describe`",
		}
	}
	return err
}

func (v verifier) job(j *verify.Job) api.VerifyJob {
	s := j.Status()
	out := api.VerifyJob{
		ID: s.ID, Link: s.Request.Link, Topics: s.Request.Topics, Node: v.node, State: string(s.State), Error: s.Err,
		Started: s.Started.UTC(), Partitions: s.Partitions, Done: s.Done, Offsets: s.Offsets, Total: s.Total,
		Selected: api.VerifyScope(s.Result.Selected), Compared: api.VerifyScope(s.Result.Covered), Counts: api.Counts(s.Result.Counts),
	}
	if s.State == verify.Done {
		verdict := api.Verdict(s.Result.Verdict())
		out.Verdict, out.Equal = &verdict, verdict == api.VerdictEqual
	}
	if !s.Finished.IsZero() {
		out.Finished = new(s.Finished.UTC())
	}
	for _, l := range s.Result.LeftOut {
		row := api.VerifyLeftOut{Topic: l.Topic, Partitions: l.Partitions, Reason: string(l.Why), Message: l.Message}
		if l.Offsets > 0 {
			row.Offsets = &l.Offsets
		}
		if row.Partitions == nil {
			row.Partitions = []int32{}
		}
		out.LeftOut = append(out.LeftOut, row)
	}
	for _, r := range s.Result.Ranges {
		out.Ranges = append(out.Ranges, api.VerifyRange{Topic: r.Topic, Partition: r.Partition, From: offset(r.From), To: offset(r.To), Records: r.Compared})
	}
	for _, f := range s.Result.Faults {
		out.Faults = append(out.Faults, api.Fault{
			Kind: string(f.Kind), Topic: f.Topic, Partition: f.Partition, Source: offset(f.Source), Target: offset(f.Target), Message: f.Message,
		})
	}
	return out
}

// offset is nil where there is none.
func offset(n int64) *int64 {
	if n < 0 {
		return nil
	}
	return &n
}
