package catalog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// Encode returns the document as it is signed and served: indented JSON with a newline at its end. It refuses what [Open]
// would refuse.
func (c *Catalog) Encode() ([]byte, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if err := c.Rules.CheckSize(); err != nil {
		return nil, fmt.Errorf("catalog: %w", err)
	}
	document, err := encode(c, "")
	if err != nil {
		return nil, fmt.Errorf("encode catalog: %w", err)
	}
	read, err := decode(document)
	if err != nil {
		return nil, err
	}
	// JSON replaces what is not UTF-8; whatever Validate does not look at must come through as well.
	if again, err := encode(read, ""); err != nil || !bytes.Equal(again, document) {
		return nil, errors.New("encode catalog: what a node reads is another catalog; a text in it is not UTF-8")
	}
	return document, nil
}

// CheckSize reports rules that take more of a document than there is for them.
func (r *Rules) CheckSize() error {
	b, err := encode(r, " ")
	if err == nil && len(b) > MaxRules {
		err = fmt.Errorf("groups and machines take %d bytes of the catalog, and there are %d for them; shorten names, or name fewer machines", len(b), MaxRules)
	}
	return err
}

// encode is the one way in which values become JSON here.
func encode(v any, prefix string) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent(prefix, " ")
	err := e.Encode(v)
	return b.Bytes(), err
}

// decode parses and validates a document whose signature has been checked.
func decode(document []byte) (*Catalog, error) {
	if len(document) > MaxDocument {
		return nil, tooLarge(len(document))
	}
	var c Catalog
	if err := json.Unmarshal(document, &c); err != nil {
		return nil, fmt.Errorf("decode catalog: %w", err)
	}
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return &c, nil
}

func tooLarge(bytes int) error {
	return fmt.Errorf("catalog: it has %d bytes, and nodes read %d; shorten descriptions and command lines, or offer fewer systems",
		bytes, MaxDocument)
}
