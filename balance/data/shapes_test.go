package data

// shapes are the generated cases that a plan must be good at.
var shapes = []struct {
	name  string
	shape Shape
}{
	{"drain", Shape{Brokers: 30, Racks: 3, Partitions: 6000, Draining: 2}},
	{"dead", Shape{Brokers: 33, Racks: 3, Partitions: 6000, Dead: 1, Skew: 0.2}},
	{"grow", Shape{Brokers: 30, Racks: 3, Partitions: 6000, New: 6, Skew: 0.1}},
	{"uneven racks", Shape{Brokers: 40, RackParts: []float64{.30, .25, .20, .15, .10}, Partitions: 8000, Skew: 0.2}},
	{"RF mixed", Shape{Brokers: 30, Racks: 4, RF: []int{1, 2, 3, 4, 5}, Partitions: 6000, Skew: 0.2}},
	{"RF mixed, 2 racks", Shape{Brokers: 20, Racks: 2, RF: []int{1, 2, 3, 4, 5}, Partitions: 6000, Skew: 0.2}},
	{"capacities 1:2", Shape{Brokers: 30, Racks: 3, Capacities: []int64{1, 1, 1, 2, 2, 2}, Partitions: 6000, Skew: 0.2}},
	{"giant 0.2", Shape{Brokers: 30, Racks: 3, Partitions: 6000, Giants: []float64{.2, .2, .2, .2}, Skew: 0.1}},
	{"giant 0.6", Shape{Brokers: 30, Racks: 3, Partitions: 6000, Giants: []float64{.6, .6, .6}, Skew: 0.1}},
	{"giant 1.5", Shape{Brokers: 30, Racks: 3, Partitions: 6000, Giants: []float64{1.5}, Skew: 0.1}},
	{"no small", Shape{Brokers: 30, Racks: 3, Partitions: 6000, Least: 0.5, Spread: 0.3, Skew: 0.2}},
	{"few", Shape{Brokers: 6, Racks: 3, Partitions: 276, Spread: 0.8, Skew: 0.3}},
	{"equal", Shape{Brokers: 30, Racks: 3, Partitions: 6000, Equal: true, Skew: 0.2}},
	{"broken racks", Shape{Brokers: 30, Racks: 3, Partitions: 6000, BadRacks: 0.3, Skew: 0.1}},
	{"one rack", Shape{Brokers: 12, Partitions: 2000, RF: []int{2, 3}, Skew: 0.3}},
	{"cordoned", Shape{Brokers: 30, Racks: 3, Partitions: 6000, Cordoned: 3, Skew: 0.2}},
	{"held", Shape{Brokers: 30, Racks: 3, Partitions: 6000, Held: 0.2, Skew: 0.2}},
	{"full", Shape{Brokers: 30, Racks: 3, Partitions: 6000, Use: 0.77, Skew: 0.05}},
	{"all at once", Shape{Brokers: 40, Racks: 4, Partitions: 6000, RF: []int{3, 2}, New: 4, Dead: 1, Draining: 2, Cordoned: 2, Held: 0.05, BadRacks: 0.1, Skew: 0.2}},
}
