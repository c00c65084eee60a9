package data

func (q *planner) unmet() []Unmet { return nil }
