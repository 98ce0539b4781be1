"""Claims about the paper's theorems: bounds on the flow (1, 5), on descent with any step sizes (2, 3, 4), and Remarks 1 and 2."""
