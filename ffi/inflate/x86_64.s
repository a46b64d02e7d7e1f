# Inflating (RFC 1951), x86-64 with BMI2. `deno task assemble` makes bytes.ts of it.
#
# It works on a state of this form, and on what that points to:
#
#     0  u64 in          the next byte of what is compressed; 8 bytes before it are as they were when they were read
#     8  u64 in_limit    it stops behind it; 1024 bytes behind it can be read
#    16  u64 out         where the next byte goes
#    24  u64 out_limit   it stops behind it; 320 bytes behind it can be written, which mean nothing then
#    32  u64 history     where the bytes begin that a match may repeat
#    40  u64 bits        read from `in` and not yet used, the lowest first
#    48  u64 count       how many of them count (at most 63)
#    56  u64 stage       0: before a block; 1: in one with codes; 2: in one without
#    64  u64 last        whether no block follows this one
#    72  u64 stored      how many bytes of a block without codes are left
#    80  u64 result      why it stopped (see state.ts)
#
# and, for itself, from 88 on: tables. A code is looked up by the bits to come: 11 of them for literals and
# lengths, 9 for distances; codes that are longer go on in a second table. An entry is
#
#    bits  0-7   how many bits to go on: the code's and those behind it that belong to its value
#    bits  8-11  how many of them are the code's; of a second table: how many bits it is looked up by
#    bit   13    the end of the block
#    bit   14    a second table
#    bit   15    what is no value: bit 13, bit 14, or neither, which is no code
#    bits 16-30  the value, before what the bits behind the code add; the second table's first entry
#    bit   31    a literal
#
# While codes are read, the registers are
#
#    rdi  the state       rsi  in        r13  in_limit      r8  bits      r11  literals and lengths
#                         r10  out       r14  out_limit     r9  count     r12  distances
#
# where only the low byte of the count counts: an entry is subtracted from it as it is. Bits above the
# count are what is read again with the next bytes, so they may be or-ed twice.
#
# What is hostile can have it stop and write nonsense, nowhere else: `out` is looked at before each symbol,
# which is at most 258 bytes and 15 that do not count; `in` before each symbol (at most 16 bytes) and before
# a block's codes (at most 600); a distance reaches no farther than the history; and the places in the
# tables follow from so many bits as they have places, after the sums of the codes are checked.

        .intel_syntax noprefix
        .text
        .globl  inflate_entry, probe_entry

        .set    IN, 0
        .set    IN_LIMIT, 8
        .set    OUT, 16
        .set    OUT_LIMIT, 24
        .set    HISTORY, 32
        .set    BITS, 40
        .set    COUNT, 48
        .set    STAGE, 56
        .set    LAST, 64
        .set    STORED, 72
        .set    RESULT, 80
        .set    CODES, 88               # while tables are made: how many codes there are
        .set    LONGEST, 92             # ... the longest one's bits
        .set    SECOND, 96              # ... where the second table begins
        .set    BLOCK_LITERALS, 100     # of a block: how many codes for literals and lengths
        .set    BLOCK_DISTANCES, 104    # ... for distances
        .set    HAS_FIXED, 108          # whether the tables are those of the codes that everybody knows
        .set    OF_LENGTH, 128          # u32[16]: how many codes have each length
        .set    NEXT, 192               # u32[16]: the place of the next one in the order of codes
        .set    LENGTHS, 256            # u8[320]: each symbol's code length
        .set    ORDER, 576              # u16[320]: symbols in the order of their codes
        .set    META, 1216              # u32[128]: the codes for code lengths
        .set    LITERALS, 1728          # u32[2342]
        .set    DISTANCES, 11104        # u32[594]

        .set    LITERAL_BITS, 11
        .set    DISTANCE_BITS, 9
        .set    META_BITS, 7

        .set    INPUT, 1
        .set    OUTPUT, 2
        .set    MEMBER, 3
        .set    BAD_BLOCK, 4
        .set    BAD_STORED, 5
        .set    BAD_LENGTHS, 6
        .set    BAD_CODE, 7
        .set    BAD_DISTANCE, 8

# At least 56 bits. Changes rcx and rdx.
        .macro  refill
        mov     rdx, [rsi]
        shlx    rdx, rdx, r9
        or      r8, rdx
        movzx   ecx, r9b
        xor     ecx, 63
        shr     ecx, 3
        add     rsi, rcx
        or      r9d, 56
        .endm

# Goes on by an entry's bits.
        .macro  consume entry, entry32
        shrx    r8, r8, \entry
        sub     r9d, \entry32
        .endm

# The entry for the next literal or length into eax.
        .macro  look_up
        mov     eax, r8d
        and     eax, (1 << LITERAL_BITS) - 1
        mov     eax, [r11 + rax*4]
        .endm

# Makes the byte of a literal's entry in eax, and goes on.
        .macro  literal
        consume rax, eax
        shr     eax, 16
        mov     [r10], al
        inc     r10
        .endm

# So many bits into a register, and on.
        .macro  take register, number
        mov     \register, r8d
        and     \register, (1 << \number) - 1
        shr     r8, \number
        sub     r9d, \number
        .endm

inflate_entry:                          # int (*)(state *, const void *), the C convention
        push    rbx
        push    rbp
        push    r12
        push    r13
        push    r14
        push    r15
        cld
        mov     rsi, [rdi + IN]
        mov     r13, [rdi + IN_LIMIT]
        mov     r10, [rdi + OUT]
        mov     r14, [rdi + OUT_LIMIT]
        mov     r8, [rdi + BITS]
        mov     r9, [rdi + COUNT]
        mov     eax, [rdi + STAGE]
        cmp     eax, 1
        je      codes
        ja      stored

        .include "x86_64_blocks.s"      # goes on here

codes:
        lea     r11, [rdi + LITERALS]
        lea     r12, [rdi + DISTANCES]
symbol:
        cmp     rsi, r13
        ja      need_input
        cmp     r10, r14
        ja      need_output
        refill
        look_up
        test    eax, eax
        jns     no_literal
        literal                         # up to three of them, 33 bits
        look_up
        test    eax, eax
        jns     no_literal_now
        literal
        look_up
        test    eax, eax
        jns     no_literal_now
        literal
        jmp     symbol

no_literal_now:
        refill
no_literal:                             # a length and a distance: at most 48 bits
        test    eax, 0x8000
        jnz     special
match:
        bzhi    rdx, r8, rax
        consume rax, eax
        mov     ecx, eax
        shr     ecx, 8
        shrx    rdx, rdx, rcx
        shr     eax, 16
        add     eax, edx                # the length
        mov     edx, r8d
        and     edx, (1 << DISTANCE_BITS) - 1
        mov     edx, [r12 + rdx*4]
        test    edx, 0x8000
        jnz     special_distance
distance:
        bzhi    rcx, r8, rdx
        consume rdx, edx
        mov     ebp, edx
        shr     ebp, 8
        shrx    rcx, rcx, rbp
        shr     edx, 16
        add     edx, ecx                # the distance
        mov     rcx, r10
        sub     rcx, [rdi + HISTORY]
        cmp     rdx, rcx
        mov     ebx, BAD_DISTANCE
        ja      stop
        mov     rbp, r10
        sub     rbp, rdx
        lea     r15, [r10 + rax]        # where it ends
        cmp     edx, 16
        jb      close
copy:
        movdqu  xmm0, [rbp]
        movdqu  [r10], xmm0
        add     rbp, 16
        add     r10, 16
        cmp     r10, r15
        jb      copy
        mov     r10, r15
        jmp     symbol

# What is repeated overlaps what it becomes.
close:
        cmp     edx, 8
        jae     copy8
        cmp     edx, 1
        je      fill
overlapping:                            # of each eight bytes only the first `distance` are right
        mov     rax, [rbp]
        mov     [r10], rax
        add     rbp, rdx
        add     r10, rdx
        cmp     r10, r15
        jb      overlapping
        mov     r10, r15
        jmp     symbol
copy8:
        mov     rax, [rbp]
        mov     [r10], rax
        add     rbp, 8
        add     r10, 8
        cmp     r10, r15
        jb      copy8
        mov     r10, r15
        jmp     symbol
fill:
        movzx   eax, byte ptr [rbp]
        mov     rcx, 0x0101010101010101
        imul    rax, rcx
fill8:
        mov     [r10], rax
        add     r10, 8
        cmp     r10, r15
        jb      fill8
        mov     r10, r15
        jmp     symbol

special:
        test    eax, 0x4000
        jnz     second
        test    eax, 0x2000
        mov     ebx, BAD_CODE
        jz      stop
        consume rax, eax
        jmp     block_end
second:
        shr     r8, LITERAL_BITS
        sub     r9d, LITERAL_BITS
        mov     ecx, eax
        shr     ecx, 8                  # bits 14 and 15 are the 6th and 7th now, which bzhi would heed
        and     ecx, 15
        bzhi    rdx, r8, rcx
        shr     eax, 16
        add     eax, edx
        mov     eax, [r11 + rax*4]
        test    eax, eax
        js      second_literal
        test    eax, 0x8000
        jz      match
        test    eax, 0x2000
        mov     ebx, BAD_CODE
        jz      stop
        consume rax, eax
        jmp     block_end
second_literal:
        literal
        jmp     symbol

special_distance:
        test    edx, 0x4000
        mov     ebx, BAD_CODE
        jz      stop
        shr     r8, DISTANCE_BITS
        sub     r9d, DISTANCE_BITS
        mov     ecx, edx
        shr     ecx, 8
        and     ecx, 15
        bzhi    rcx, r8, rcx
        shr     edx, 16
        add     edx, ecx
        mov     edx, [r12 + rdx*4]
        test    edx, 0x8000
        jz      distance
        jmp     stop

block_end:
        mov     dword ptr [rdi + STAGE], 0
        cmp     dword ptr [rdi + LAST], 0
        je      block
# The end of a member (RFC 1952, 2.3): what is left of the last byte is nothing.
        movzx   ecx, r9b
        shr     ecx, 3
        sub     rsi, rcx
        xor     r8d, r8d
        xor     r9d, r9d
        mov     ebx, MEMBER
        cmp     rsi, r13
        ja      stop
        cmp     dword ptr [rsi + 8], 0x00088b1f
        jne     stop
        add     rsi, 18                 # another one's plain header behind the sums
        mov     [rdi + HISTORY], r10
        jmp     block

need_input:
        mov     ebx, INPUT
        jmp     stop
need_output:
        mov     ebx, OUTPUT
stop:
        mov     [rdi + IN], rsi
        mov     [rdi + OUT], r10
        mov     [rdi + BITS], r8
        movzx   r9d, r9b
        mov     [rdi + COUNT], r9
        mov     [rdi + RESULT], rbx
        pop     r15
        pop     r14
        pop     r13
        pop     r12
        pop     rbp
        pop     rbx
        xor     eax, eax
        ret

        .include "../probe_x86_64.s"
        probe   8                       # BMI2

        .include "x86_64_tables.s"
