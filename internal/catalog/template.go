package catalog

// UnknownPlaceholder returns the offset in text, in bytes, of the first placeholder that [Expand] doesn't know, with its error; without one
// the error is nil.
func UnknownPlaceholder(text string) (at int, err error) {
	for _, m := range placeholder.FindAllStringIndex(text, -1) {
		if _, err := Expand(text[m[0]:m[1]], nil); err != nil {
			return m[0], err
		}
	}
	return 0, nil
}
