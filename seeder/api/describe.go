package api

import (
	_ "embed"
	"net/http"
	"sync"

	"github.com/goccy/go-yaml"
)

//go:embed openapi.yaml
var description []byte

// describe is the description as JSON.
var describe = sync.OnceValues(func() ([]byte, error) { return yaml.YAMLToJSON(description) })

func serveDescription(w http.ResponseWriter, _ *http.Request) {
	text, err := describe()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(text) // who asked may be gone
}
