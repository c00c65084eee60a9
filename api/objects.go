package api

import (
	"context"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"sluice/manifest"
)

func (s *Server) objectRoutes(h huma.API) {
	type applyInput struct{ Body ApplyRequest }
	route(h, http.MethodPost, applyPath, "apply", "Plan objects and carry the plan out, all or nothing",
		func(ctx context.Context, in *applyInput) (Plan, error) { return s.apply(ctx, in.Body) })
	type exportInput struct {
		ReadParams
		Kind string `query:"kind" enum:"KafkaCluster,Link" doc:"Absent: all kinds."`
		Name string `query:"name" doc:"Absent: all names."`
	}
	reading(s, h, "/v1/objects", "exportObjects", "Objects as YAML that apply takes",
		func(p *picture, in *exportInput) (Objects, error) {
			text, err := manifest.Export(p.v, manifest.Kind(in.Kind), in.Name)
			if err == nil && len(text) == 0 && in.Name != "" {
				err = notFound(in.Kind, in.Name)
			}
			return Objects{p.meta("Objects"), string(text)}, err
		})
	reading(s, h, "/v1/kafka", "listKafkaClusters", "The Kafka clusters",
		func(p *picture, _ *ReadParams) (List[KafkaCluster], error) {
			return List[KafkaCluster]{p.meta("KafkaClusterList"), p.kafkaClusters()}, nil
		})
}

func (p *picture) kafkaClusters() []KafkaCluster {
	out := []KafkaCluster{}
	for _, k := range p.v.Kafka {
		x := KafkaCluster{
			Name: k.Name, Bootstrap: k.Bootstrap, Datacenter: k.Datacenter, ClusterID: k.ClusterID, TLS: k.TLS != nil, Links: []string{},
		}
		if k.Revision > 0 {
			x.Revision = &k.Revision
		}
		if k.SASL != nil {
			x.SASL = k.SASL.Mechanism
		}
		for _, l := range p.v.Links {
			if l.Spec.Source == k.Name || l.Spec.Target == k.Name {
				x.Links = append(x.Links, l.Spec.Name)
			}
		}
		slices.Sort(x.Links)
		out = append(out, x)
	}
	return out
}
