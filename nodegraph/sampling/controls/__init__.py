"""Networks that lead a model by images: ControlNets and T2I adapters. Imports no torch."""
