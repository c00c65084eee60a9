package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"sluice/fsm"
)

// snapshotRoutes offer the facts as a whole.
func snapshotRoutes(s *Server, h huma.API) {
	huma.Register(h, huma.Operation{
		OperationID: "saveSnapshot", Method: http.MethodGet, Path: "/v1/snapshot", Summary: "All facts, as a leader confirms them now, as `sluice cluster snapshot save` keeps them",
		Responses: map[string]*huma.Response{"default": goesWrong(h), "200": {
			Description: "A file with a checksum at its end", Content: map[string]*huma.MediaType{"application/octet-stream": {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}},
		}},
	}, func(ctx context.Context, _ *struct{}) (*huma.StreamResponse, error) {
		ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
		defer cancel()
		if err := s.reread(ctx); err != nil {
			return nil, asProblem(err)
		}
		p := s.picture()
		head := fsm.BackupHead{SavedAt: time.Now().UnixMilli(), Node: p.nodeName(p.state.NodeID), Version: s.Version}
		return &huma.StreamResponse{Body: func(hc huma.Context) {
			hc.SetHeader("Content-Type", "application/octet-stream")
			if err := fsm.WriteBackup(hc.BodyWriter(), head, p.v); err != nil { // who asked sees it by the checksum
				s.Log.Warn("a snapshot of the facts was not sent as a whole", "error", err)
			}
		}}, nil
	})
}

// SaveSnapshot writes the facts, as a leader confirms them, to w. What it has written
// when it fails is no snapshot.
func SaveSnapshot(ctx context.Context, c *Client, w io.Writer) error {
	var errs []error
	for _, base := range c.urls {
		address := base + "/v1/snapshot"
		resp, err := send(ctx, c, http.MethodGet, address, nil)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		return receive(w, address, resp)
	}
	return errors.Join(errs...)
}

func receive(w io.Writer, address string, resp *http.Response) error {
	defer resp.Body.Close()
	if resp.StatusCode >= 400 {
		b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
		if err != nil {
			return fmt.Errorf("reading the answer of %s: %w", address, err)
		}
		return readProblem(address, resp, b)
	}
	if _, err := io.Copy(w, resp.Body); err != nil {
		return fmt.Errorf("reading the answer of %s: %w", address, err)
	}
	return nil
}
