// Package trace stands in for go.opentelemetry.io/otel/trace; see package otel.
package trace

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
)

// Tracer starts spans.
type Tracer struct{}

// Start returns ctx and a span.
func (Tracer) Start(ctx context.Context, name string) (context.Context, Span) { return ctx, Span{} }

// Span is a stretch of time that nobody watches.
type Span struct{}

// AddEvent does nothing.
func (Span) AddEvent(name string, options ...EventOption) {}

// End does nothing.
func (Span) End() {}

// RecordError does nothing.
func (Span) RecordError(err error) {}

// SetAttributes does nothing.
func (Span) SetAttributes(...attribute.KeyValue) {}

// SetStatus does nothing.
func (Span) SetStatus(code codes.Code, description string) {}

// EventOption is one of an event.
type EventOption struct{}

// WithAttributes returns an option.
func WithAttributes(...attribute.KeyValue) EventOption { return EventOption{} }
