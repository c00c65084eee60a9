package stream

import (
	"fmt"
	"maps"
	"math"
	"testing"

	"pgregory.net/rapid"

	"sluice/task"
)

func TestShareFollowsWhatIsDrawn(t *testing.T) {
	three := dividing{limit: 1200, owners: []owner{{node: "a", streams: 1}, {node: "b", streams: 1}, {node: "c", streams: 2}}, one: 300}
	limited, rests := task.Draw{Rate: 300, Limited: true}, task.Draw{}
	for _, c := range []struct {
		name    string
		draws   map[string]task.Draw
		a, b, c float64
	}{
		{"nobody has told", nil, 300, 300, 600},
		{"all are limited", map[string]task.Draw{"a": limited, "b": limited, "c": limited}, 300, 300, 600},
		{"all rest", map[string]task.Draw{"a": rests, "b": rests, "c": rests}, 300, 300, 600},
		{"one is limited", map[string]task.Draw{"a": limited, "b": rests, "c": rests}, 1200 - 3*12, 12, 24},
		{"two are", map[string]task.Draw{"a": limited, "b": rests, "c": limited}, 396, 12, 792},
		{"one does not tell", map[string]task.Draw{"a": limited, "b": rests}, 588, 12, 600},
		{"one draws some", map[string]task.Draw{"a": limited, "b": {Rate: 160}, "c": limited}, 1030.0 / 3, 170, 2060.0 / 3},
		{"what one draws is more than the others leave", map[string]task.Draw{"a": limited, "b": {Rate: 900}, "c": limited}, 300, 300, 600},
		{"nobody is limited", map[string]task.Draw{"a": {Rate: 160}, "b": {Rate: 320}, "c": rests}, 170 + 666.0/4, 340 + 666.0/4, 24 + 666.0/2},
	} {
		for node, want := range map[string]float64{"a": c.a, "b": c.b, "c": c.c, "elsewhere": 300} {
			if got := three.share(node, c.draws); math.Abs(got-want) > 1e-6 {
				t.Errorf("%s: %s gets %v, want %v", c.name, node, got, want)
			}
		}
	}
}

// TestShares: they are the limit together, whatever the nodes draw; who is
// limited, or does not tell, has no less than by streams; and what those who are
// not limited have beyond their need is little where somebody is.
func TestShares(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const limit = 1e6
		d := dividing{limit: limit}
		draws := map[string]task.Draw{}
		streams, drawn, some := 0.0, 0.0, false
		for i := range rapid.IntRange(1, 6).Draw(t, "nodes") {
			o := owner{node: fmt.Sprint(i), streams: float64(rapid.IntRange(1, 20).Draw(t, "streams"))}
			d.owners, streams = append(d.owners, o), streams+o.streams
			if rapid.IntRange(0, 9).Draw(t, "tells") > 0 {
				draw := task.Draw{Rate: rapid.Int64Range(0, limit).Draw(t, "rate"), Limited: rapid.Bool().Draw(t, "limited")}
				draws[o.node], some = draw, some || draw.Limited
				drawn += float64(draw.Rate)
			}
		}
		sum, spare := 0.0, 0.0
		for _, o := range d.owners {
			share, fair := d.share(o.node, maps.Clone(draws)), limit*o.streams/streams
			sum += share
			draw, told := draws[o.node]
			switch {
			case !told || draw.Limited:
				if share < fair*(1-1e-9) {
					t.Fatalf("%s has %v, by its streams %v", o.node, share, fair)
				}
			default:
				if share < min(fair, float64(draw.Rate))*(1-1e-9) {
					t.Fatalf("%s has %v, and draws %v of %v", o.node, share, draw.Rate, fair)
				}
				spare += max(0, share-float64(draw.Rate))
			}
		}
		if math.Abs(sum-limit) > 1 {
			t.Fatalf("%v of %v is divided", sum, limit)
		}
		if some && spare > limit*(headroom+atRest) {
			t.Fatalf("%v of %v is for nobody", spare, limit)
		}
	})
}
