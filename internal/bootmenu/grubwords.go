package bootmenu

import "strings"

// expand takes quotes and variables out of words. What a variable without quotes has in it is split at spaces, as GRUB does.
func (g *grubReader) expand(words []string) ([]string, error) {
	var out []string
	total := 0
	for _, w := range words {
		fields := g.expandWord(w)
		for _, f := range fields {
			if total += len(f); total > maxText {
				return nil, errTooMuch
			}
		}
		out = append(out, fields...)
	}
	return out, nil
}

// expandWord is one word; nothing if it is only variables without a value.
func (g *grubReader) expandWord(w string) []string {
	var fields []string
	var field strings.Builder
	has := false
	for i := 0; i < len(w); i++ {
		switch c := w[i]; c {
		case '\'':
			n := quoted(w[i:])
			field.WriteString(w[i+1 : i+n-1])
			has, i = true, i+n-1
		case '"':
			n := quoted(w[i:])
			field.WriteString(g.inQuotes(w[i+1 : i+n-1]))
			has, i = true, i+n-1
		case '\\':
			if i+1 < len(w) {
				field.WriteByte(w[i+1])
				has, i = true, i+1
			}
		case '$':
			value, n := g.variable(w[i:])
			i += n - 1
			for j, part := range strings.FieldsFunc(value, func(r rune) bool { return r == ' ' || r == '\t' || r == '\n' }) {
				if j > 0 {
					fields = append(fields, field.String())
					field.Reset()
				}
				field.WriteString(part)
				has = true
			}
		default:
			field.WriteByte(c)
			has = true
		}
	}
	if has {
		fields = append(fields, field.String())
	}
	return fields
}

// inQuotes is a text in double quotes: variables count, and a backslash before ", $ and \.
func (g *grubReader) inQuotes(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s) && strings.IndexByte(`"$\`, s[i+1]) >= 0:
			i++
			b.WriteByte(s[i])
		case s[i] == '$':
			value, n := g.variable(s[i:])
			b.WriteString(value)
			i += n - 1
		default:
			b.WriteByte(s[i])
		}
		if b.Len() > 2*maxText {
			break // expand says that it is too much
		}
	}
	return b.String()
}

// variable is the value of the variable that s begins with, and how many bytes its name takes.
func (g *grubReader) variable(s string) (value string, n int) {
	if strings.HasPrefix(s, "${") {
		if end := strings.IndexByte(s, '}'); end > 0 {
			return g.variables[s[2:end]], end + 1
		}
	}
	n = 1
	for n < len(s) && (s[n] == '_' || s[n] >= '0' && s[n] <= '9' || s[n] >= 'A' && s[n] <= 'Z' || s[n] >= 'a' && s[n] <= 'z') {
		n++
	}
	if n == 1 {
		return "$", 1
	}
	return g.variables[s[1:n]], n
}
