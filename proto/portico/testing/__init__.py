"""The suite that every adapter must pass, and fakes. Shipped, so that third parties run it too."""
