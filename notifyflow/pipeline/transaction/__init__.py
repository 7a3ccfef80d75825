"""How every use case runs: in one transaction, alone or in a set, again where it lost a race."""
