package cli

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// column is one column of a table. key is its head in TSV, which is a
// contract; head that of the text. Columns without head are in TSV only.
type column struct {
	key, head string
	wide      bool // in text only with -o wide
	right     bool // numbers
	flex      bool // gives way when the table is too wide: is cut,
	wrap      bool // or goes on in the next line; of the last column only
}

// cell is one value: text for a person, raw for TSV (text where empty).
type cell struct {
	text, raw string
	color     color
}

// table is an answer in rows.
type table struct {
	cols  []column
	rows  [][]cell
	notes []string // lines below the rows, in text only
}

// add appends a row; it has a cell for every column.
func (t *table) add(cells ...cell) { t.rows = append(t.rows, cells) }

// c is a plain cell.
func c(text string) cell { return cell{text: text} }

func (t *table) tsv(headers bool) string {
	var b strings.Builder
	clean := strings.NewReplacer("\t", " ", "\n", " ", "\r", " ")
	line := func(value func(i int) string) {
		for i := range t.cols {
			if i > 0 {
				b.WriteByte('\t')
			}
			b.WriteString(clean.Replace(value(i)))
		}
		b.WriteByte('\n')
	}
	if headers {
		line(func(i int) string { return t.cols[i].key })
	}
	for _, r := range t.rows {
		line(func(i int) string {
			value := cmp.Or(r[i].raw, r[i].text)
			if value == "-" { // a person's word for what is unknown, or none
				return ""
			}
			return value
		})
	}
	return b.String()
}

// textWidth is what tables fit into, unless they are asked to be wide.
const textWidth = 80

const gap = 2

func (t *table) text(w io.Writer, st style) {
	shown := t.shown(st)
	if len(shown) == 0 {
		return
	}
	width := t.widths(shown, st)
	if st.headers {
		t.line(w, st, shown, width, func(i int) (string, color) { return t.cols[i].head, dim })
	}
	last := shown[len(shown)-1]
	for _, r := range t.rows {
		parts := []string{r[last].text}
		if t.cols[last].wrap && !st.wide && !st.single {
			parts = wrap(r[last].text, width[len(shown)-1])
		}
		for n, part := range parts {
			t.line(w, st, shown, width, func(i int) (string, color) {
				switch {
				case i == last:
					return part, r[i].color
				case n > 0:
					return "", plain
				}
				return r[i].text, r[i].color
			})
		}
	}
	for _, n := range t.notes {
		fmt.Fprintln(w, n)
	}
}

// line writes one line of the columns shown.
func (t *table) line(w io.Writer, st style, shown, width []int, value func(i int) (string, color)) {
	var b strings.Builder
	for n, i := range shown {
		text, col := value(i)
		text = cut(text, width[n])
		pad := strings.Repeat(" ", width[n]-utf8.RuneCountInString(text))
		if n > 0 {
			b.WriteString(strings.Repeat(" ", gap))
		}
		if t.cols[i].right {
			b.WriteString(pad + st.paint(col, text))
		} else {
			b.WriteString(st.paint(col, text) + pad)
		}
	}
	fmt.Fprintln(w, strings.TrimRight(b.String(), " "))
}

// wrap breaks text at its spaces into lines of at most n runes; a longer word
// is left for cut.
func wrap(text string, n int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		switch {
		case line == "":
			line = word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) <= n:
			line += " " + word
		default:
			lines, line = append(lines, line), word
		}
	}
	return append(lines, line)
}

func (t *table) shown(st style) []int {
	var out []int
	for i, c := range t.cols {
		if c.head != "" && (st.wide || !c.wide) {
			out = append(out, i)
		}
	}
	return out
}

// widths gives each column what it needs, and takes from the flexible ones
// what is too much, the widest first.
func (t *table) widths(shown []int, st style) []int {
	width := make([]int, len(shown))
	total := gap * (len(shown) - 1)
	for n, i := range shown {
		if st.headers {
			width[n] = utf8.RuneCountInString(t.cols[i].head)
		}
		for _, r := range t.rows {
			width[n] = max(width[n], utf8.RuneCountInString(r[i].text))
		}
		total += width[n]
	}
	for !st.wide && total > textWidth {
		widest := -1
		for n, i := range shown {
			if t.cols[i].flex && width[n] > 8 && (widest < 0 || width[n] > width[widest]) {
				widest = n
			}
		}
		if widest < 0 {
			break
		}
		width[widest]--
		total--
	}
	return width
}

// cut shortens text to n runes.
func cut(text string, n int) string {
	if utf8.RuneCountInString(text) <= n {
		return text
	}
	r := []rune(text)
	return string(r[:max(0, n-1)]) + "…"
}
