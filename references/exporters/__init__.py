"""What the scripts for frameworks other than PyTorch share: pictures, float64 references, descriptions of exports."""
