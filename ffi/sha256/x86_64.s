# SHA-256 (FIPS 180-4), x86-64 with SHA instructions. `deno task assemble` makes bytes.ts of it.
#
# It works on a state of this form:
#
#     0  u32 hash[8]     H0 to H7 (5.3.3), and what becomes of them
#    32  u64 first       how many blocks of 64 bytes stand in the state itself: 0, or 1
#    40  u64 data        the address of those that come behind it
#    48  u64 blocks      how many they are
#    64  u8  block[64]
#
# The processor has the eight words in two registers: a, b, e, f and c, d, g, h, the first of each the highest. Four of
# the schedule's words (6.2.2) are in one register, the first the lowest.

        .intel_syntax noprefix
        .text
        .globl  sha256_entry, probe_entry

        .set    FIRST, 32
        .set    DATA, 40
        .set    BLOCKS, 48
        .set    BLOCK, 64

# Four rounds with the words in one register. Changes xmm0.
        .macro  rounds words, group
        movdqa  xmm0, [rdx + 16 * \group]
        paddd   xmm0, \words
        sha256rnds2 xmm2, xmm1, xmm0
        pshufd  xmm0, xmm0, 0x0e
        sha256rnds2 xmm1, xmm2, xmm0
        .endm

# The sixteen words before, four each, become the next four, in the place of the first. Changes xmm7.
        .macro  schedule w0, w1, w2, w3
        sha256msg1 \w0, \w1
        movdqa  xmm7, \w3
        palignr xmm7, \w2, 4
        paddd   \w0, xmm7
        sha256msg2 \w0, \w3
        .endm

sha256_entry:                           # int (*)(state *, const void *), the C convention
        lea     rdx, [rip + constants]
        movdqa  xmm8, [rip + big_endian]
        movdqu  xmm0, [rdi]             # a, b, c, d, the first the lowest
        movdqu  xmm1, [rdi + 16]        # e, f, g, h
        movdqa  xmm2, xmm0
        punpcklqdq xmm0, xmm1           # a, b, e, f
        punpckhqdq xmm2, xmm1           # c, d, g, h
        pshufd  xmm1, xmm0, 0x1b
        pshufd  xmm2, xmm2, 0x1b
        mov     rcx, [rdi + FIRST]
        lea     rsi, [rdi + BLOCK]
        test    rcx, rcx
        jnz     block
data:
        mov     rcx, [rdi + BLOCKS]
        mov     rsi, [rdi + DATA]
        mov     qword ptr [rdi + BLOCKS], 0
        test    rcx, rcx
        jz      end

block:
        movdqa  xmm9, xmm1
        movdqa  xmm10, xmm2
        movdqu  xmm3, [rsi]
        movdqu  xmm4, [rsi + 16]
        movdqu  xmm5, [rsi + 32]
        movdqu  xmm6, [rsi + 48]
        pshufb  xmm3, xmm8
        pshufb  xmm4, xmm8
        pshufb  xmm5, xmm8
        pshufb  xmm6, xmm8
        .set    group, 0
        .rept   3
        rounds  xmm3, group
        schedule xmm3, xmm4, xmm5, xmm6
        rounds  xmm4, (group + 1)
        schedule xmm4, xmm5, xmm6, xmm3
        rounds  xmm5, (group + 2)
        schedule xmm5, xmm6, xmm3, xmm4
        rounds  xmm6, (group + 3)
        schedule xmm6, xmm3, xmm4, xmm5
        .set    group, group + 4
        .endr
        rounds  xmm3, 12
        rounds  xmm4, 13
        rounds  xmm5, 14
        rounds  xmm6, 15
        paddd   xmm1, xmm9
        paddd   xmm2, xmm10
        add     rsi, 64
        dec     rcx
        jnz     block
        cmp     qword ptr [rdi + BLOCKS], 0
        jne     data

end:
        pshufd  xmm1, xmm1, 0x1b        # a, b, e, f
        pshufd  xmm2, xmm2, 0x1b
        movdqa  xmm0, xmm1
        punpcklqdq xmm0, xmm2
        punpckhqdq xmm1, xmm2
        movdqu  [rdi], xmm0
        movdqu  [rdi + 16], xmm1
        xor     eax, eax
        ret

        .include "../probe_x86_64.s"
        probe   29                      # the SHA instructions

        .balign 16
big_endian:
        .byte   3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12
constants:                              # 4.2.2
        .long   0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5
        .long   0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5
        .long   0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3
        .long   0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174
        .long   0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc
        .long   0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da
        .long   0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7
        .long   0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967
        .long   0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13
        .long   0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85
        .long   0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3
        .long   0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070
        .long   0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5
        .long   0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3
        .long   0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208
        .long   0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2
