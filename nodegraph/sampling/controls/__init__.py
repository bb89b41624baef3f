"""Networks that lead a model by pictures: ControlNets and T2I adapters. Imports no torch."""
