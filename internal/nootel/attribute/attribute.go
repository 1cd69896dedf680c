// Package attribute stands in for go.opentelemetry.io/otel/attribute; see package otel.
package attribute

// KeyValue is an attribute of nothing.
type KeyValue struct{}

// String returns an attribute.
func String(key, value string) KeyValue { return KeyValue{} }

// Int returns an attribute.
func Int(key string, value int) KeyValue { return KeyValue{} }
