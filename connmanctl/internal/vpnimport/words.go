package vpnimport

import (
	"errors"
	"strings"
)

// directive is a line of an OpenVPN profile: words, of which the first is its
// name, and what a block between <name> and </name> holds.
type directive struct {
	line  int
	words []string
	block string
	has   bool // a block, which may be empty
}

func (d directive) name() string { return d.words[0] }

// arg is a word behind the name, "" if there are fewer.
func (d directive) arg(i int) string {
	if i+1 < len(d.words) {
		return d.words[i+1]
	}
	return ""
}

// directives takes a profile apart. The line of an error is returned.
func directives(text string) (list []directive, line int, err error) {
	lines := strings.Split(text, "\n")
	for i := 0; i < len(lines); i++ {
		trimmed := strings.TrimSpace(lines[i])
		if strings.HasPrefix(trimmed, "<") && strings.HasSuffix(trimmed, ">") && !strings.HasPrefix(trimmed, "</") {
			d := directive{line: i + 1, words: []string{trimmed[1 : len(trimmed)-1]}, has: true}
			end := "</" + d.name() + ">"
			var block strings.Builder
			for i++; ; i++ {
				if i == len(lines) {
					return nil, d.line, errors.New("the block does not end")
				}
				if strings.TrimSpace(lines[i]) == end {
					break
				}
				block.WriteString(strings.TrimRight(lines[i], "\r"))
				block.WriteByte('\n')
			}
			d.block = block.String()
			list = append(list, d)
			continue
		}
		words, err := split(trimmed)
		if err != nil {
			return nil, i + 1, err
		}
		if len(words) > 0 {
			words[0] = strings.TrimPrefix(words[0], "--")
			list = append(list, directive{line: i + 1, words: words})
		}
	}
	return list, 0, nil
}

// split takes a line apart as openvpn(8) says: words between white space, quotes
// of both kinds, a backslash before any character outside single quotes, comments
// behind # and ; at the beginning of a word.
func split(line string) (words []string, err error) {
	var word strings.Builder
	inside, escaped := false, false
	var quote rune
	for _, r := range line {
		switch {
		case escaped:
			word.WriteRune(r)
			escaped = false
		case quote != '\'' && r == '\\':
			inside, escaped = true, true
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '"' || r == '\'':
			inside, quote = true, r
		case r == ' ' || r == '\t' || r == '\r':
			if inside {
				words = append(words, word.String())
				word.Reset()
			}
			inside = false
		case !inside && (r == '#' || r == ';'):
			return words, nil
		default:
			inside = true
			word.WriteRune(r)
		}
	}
	if quote != 0 || escaped {
		return nil, errors.New("a quote does not end")
	}
	if inside {
		words = append(words, word.String())
	}
	return words, nil
}

// quote makes one word of a text again.
func quote(word string) string {
	if word != "" && !strings.ContainsAny(word, " \t\"'\\#;<>") {
		return word
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(word) + `"`
}
