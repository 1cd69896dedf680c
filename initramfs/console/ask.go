package console

import (
	"context"

	tea "github.com/charmbracelet/bubbletea"
)

// Asker is a screen with an answer: what a person decided or typed.
type Asker[T any] interface {
	tea.Model
	Answer() T
}

// Ask shows a screen as [Set.Run] does and returns its answer. The zero answer is that of a screen that was ended from outside.
func Ask[T any](ctx context.Context, s *Set, screen Asker[T], events <-chan tea.Msg) (answer T, console string, err error) {
	final, console, err := s.Run(ctx, screen, events)
	if err != nil {
		return answer, console, err
	}
	return final.(Asker[T]).Answer(), console, nil
}
