"""How steps run: plan, fingerprints, a process a step, state, events, cards."""
