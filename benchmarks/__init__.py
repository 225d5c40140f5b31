"""What speed is promised, measured: each module is one command, all figures are ratios or floors within one run."""
