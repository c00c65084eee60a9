package kafka

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Fetch versions that we speak: 12 is the first with LastFetchedEpoch (Kafka
// 2.7), from 13 on topics go by id, and 17 changes nothing for consumers
// after 13 but what they may be told in tagged fields.
const (
	keyFetch        = 1
	minFetchVersion = 12
	idFetchVersion  = 13
	maxFetchVersion = 17
)

// Produce versions that we speak: 9 is the first flexible one (Kafka 2.4),
// from 10 on a refusal may name the leader, from 13 on topics go by id.
const (
	keyProduce        = 0
	minProduceVersion = 9
	idProduceVersion  = 13
	maxProduceVersion = 13
)

// apiVersions is what a broker said it speaks. Read-only once made.
type apiVersions map[int16]versionRange

type versionRange struct{ low, high int16 }

func newAPIVersions(resp *kmsg.ApiVersionsResponse) apiVersions {
	v := make(apiVersions, len(resp.ApiKeys))
	for _, k := range resp.ApiKeys {
		v[k.ApiKey] = versionRange{low: k.MinVersion, high: k.MaxVersion}
	}
	return v
}

func (v apiVersions) supports(key, version int16) bool {
	r, ok := v[key]
	return ok && r.low <= version && version <= r.high
}

// best returns the highest version that both sides speak, or ErrUnsupported.
func (v apiVersions) best(key, low, high int16) (int16, error) {
	r, ok := v[key]
	if !ok {
		return 0, fmt.Errorf("%w: %s", ErrUnsupported, kmsg.NameForKey(key))
	}
	if version := min(r.high, high); version >= max(r.low, low) {
		return version, nil
	}
	return 0, fmt.Errorf("%w: %s: broker speaks %d to %d, we %d to %d",
		ErrUnsupported, kmsg.NameForKey(key), r.low, r.high, low, high)
}

// pick is best for a request that names topics by id from version ids on.
func (v apiVersions) pick(key, low, high, ids int16, withIDs bool) (int16, error) {
	if !withIDs {
		high = ids - 1
	}
	return v.best(key, low, high)
}

// and returns what both speak; a nil v speaks everything.
func (v apiVersions) and(o apiVersions) apiVersions {
	if v == nil {
		return o
	}
	both := make(apiVersions, len(v))
	for key, r := range v {
		if s, ok := o[key]; ok && max(r.low, s.low) <= min(r.high, s.high) {
			both[key] = versionRange{low: max(r.low, s.low), high: min(r.high, s.high)}
		}
	}
	return both
}
