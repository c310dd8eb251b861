module signet.dev/sealing/vectors

go 1.26
