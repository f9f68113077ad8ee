using System;
using System.Text;

public static class Program
{
    private static readonly int[] Values = { 1000, 900, 500, 400, 100, 90, 50, 40, 10, 9, 5, 4, 1 };
    private static readonly string[] Numerals =
        { "M", "CM", "D", "CD", "C", "XC", "L", "XL", "X", "IX", "V", "IV", "I" };

    public static void Main()
    {
        for (string line; !string.IsNullOrWhiteSpace(line = Console.ReadLine());)
        {
            Console.WriteLine(ToRoman(int.Parse(line.Trim())));
        }
    }

    private static string ToRoman(int number)
    {
        var roman = new StringBuilder();
        for (int index = 0; index < Values.Length; index++)
        {
            for (; number >= Values[index]; number -= Values[index])
            {
                roman.Append(Numerals[index]);
            }
        }
        return roman.ToString();
    }
}
