// Package codes stands in for go.opentelemetry.io/otel/codes; see package otel.
package codes

// Code is the status of a span.
type Code uint32

// Error says that what was traced has failed.
const Error Code = 1
