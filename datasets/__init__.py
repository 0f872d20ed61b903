"""Data sheets, class definitions, training settings, the synthetic scene generator and the demo clip's builder."""
